"""The graph that fits a model."""

from mmdet.models.detectors import MaskFormer, SingleStageDetector, TwoStageDetector
from mmdet.models.detectors.base_detr import DetectionTransformer
from mmseg.models.decode_heads import Mask2FormerHead
from mmseg.models.segmentors import EncoderDecoder
from torch import nn

from convnext_dense.detectors.realtime_detr.detector import RealTimeDETR
from convnext_dense.errors import UsageError
from convnext_dense.export.graphs.backbone import Backbone
from convnext_dense.export.graphs.detectors import Detector
from convnext_dense.export.graphs.queries.detector import QueryDetector
from convnext_dense.export.graphs.queries.realtime_detr import RealTimeDetector
from convnext_dense.export.graphs.queries.segmenter import QuerySegmenter
from convnext_dense.export.graphs.segmenter import Segmenter


def find_graph(model: nn.Module, part: str = 'model', masks: str = 'boxes', output: str = 'labels') -> nn.Module:
    """Return a model as a graph: tensors in, tensors out.

    Args:
        model: The detector or segmenter, which is changed.
        part: 'model', or 'backbone' for its backbone alone.
        masks: 'boxes' for masks of the size of their boxes, or 'image' for masks of the image's.
        output: 'labels' or 'scores', of a segmenter.

    Raises:
        UsageError: If its form in other runtimes is not known.
    """
    if part == 'backbone':
        return Backbone(model)
    if isinstance(model, EncoderDecoder):
        kind = QuerySegmenter if isinstance(model.decode_head, Mask2FormerHead) else Segmenter
        return kind(model, with_scores=output == 'scores')
    if isinstance(model, DetectionTransformer):
        return QueryDetector(model)
    if isinstance(model, RealTimeDETR):
        return RealTimeDetector(model)
    # mmdet's MaskFormer and Mask2Former are detectors of one stage by name only.
    if isinstance(model, TwoStageDetector | SingleStageDetector) and not isinstance(model, MaskFormer):
        return Detector(model, pastes=masks == 'image')
    raise UsageError(
        f"export: {type(model).__name__} has no known form in other runtimes; part='backbone' exports its backbone."
    )
