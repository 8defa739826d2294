"""Counts the multiply-adds of a model part by part, by a function for each kind of model."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from mmdet.models.detectors import (
    DETR,
    DINO,
    Mask2Former,
    MaskFormer,
    SingleStageDetector,
    TwoStageDetector,
)
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.structures import DetDataSample
from mmseg.models.decode_heads import Mask2FormerHead, MaskFormerHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convnext_dense.errors import UsageError

# The RoIs of one image that go through every box head and every mask head, as in mmdet 2, whose counts papers report.
BOX_ROIS = 1000
MASK_ROIS = 100
# Detectors that work on queries, and the part that holds their heads.
QUERY_DETECTORS = {
    DETR: 'bbox_head',
    DINO: 'bbox_head',
    MaskFormer: 'panoptic_head',
    Mask2Former: 'panoptic_head',
}
# Maps a model and an image (1, C, H, W), both on the meta device, to the multiply-adds of each part.
Counter = Callable[[Any, Tensor], dict[str, int]]


def find_counter(model: nn.Module) -> Counter:
    """Return the function that counts the multiply-adds of a model of this kind.

    Args:
        model: A detector of mmdet's or a segmenter of mmseg's.

    Raises:
        UsageError: If such a model cannot be counted.

    Example:
        >>> find_counter(nn.Linear(1, 1))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        convnext_dense.errors.UsageError: model: Linear cannot be counted; ...
    """
    roi_head = getattr(model, 'roi_head', None)
    if isinstance(model, TwoStageDetector) and type(roi_head) in (StandardRoIHead, CascadeRoIHead):
        return _count_two_stage
    if isinstance(model, SingleStageDetector) and model.with_bbox:
        return _count_single_stage
    if type(model) in QUERY_DETECTORS:
        return _count_query_detector
    if isinstance(model, EncoderDecoder) and isinstance(model.decode_head, BaseDecodeHead):
        return _count_segmenter
    if isinstance(model, EncoderDecoder) and isinstance(model.decode_head, MaskFormerHead | Mask2FormerHead):
        return _count_query_segmenter
    kind = type(model).__name__
    if isinstance(model, TwoStageDetector):
        kind += f' with {type(roi_head).__name__}'
    raise UsageError(
        f'model: {kind} cannot be counted; two-stage detectors with StandardRoIHead or CascadeRoIHead, '
        'single-stage detectors with a bbox_head, DETR, DINO, MaskFormer, Mask2Former and segmenters with one decode '
        'head can.'
    )


def _count_two_stage(model: TwoStageDetector, image: Tensor) -> dict[str, int]:
    features, flops = _count_features(model, image)
    _, flops['rpn_head'] = _count(model.rpn_head, features)
    head = model.roi_head
    calls = [(BOX_ROIS, head.bbox_roi_extractor, head.bbox_head)]
    if head.with_mask:
        calls.append((MASK_ROIS, head.mask_roi_extractor, head.mask_head))
    flops['roi_head'] = sum(
        # RoIs on the meta device have no coordinates to pool at, but only the shape of what is pooled matters.
        _count_rois(
            torch.empty(number, extractor.out_channels, *extractor.roi_layers[0].output_size),
            stage,
            head.shared_head if head.with_shared_head else None,
        )
        for number, extractors, stages in calls
        for extractor, stage in zip(_stages(extractors), _stages(stages), strict=True)
    )
    return flops


def _count_rois(rois: Tensor, stage: nn.Module, shared_head: nn.Module | None) -> int:
    flops = 0
    if shared_head is not None:
        rois, flops = _count(shared_head, rois)
    return flops + _count(stage, rois)[1]


def _count_single_stage(model: SingleStageDetector, image: Tensor) -> dict[str, int]:
    features, flops = _count_features(model, image)
    _, flops['bbox_head'] = _count(model.bbox_head, features)
    return flops


def _count_query_detector(model: nn.Module, image: Tensor) -> dict[str, int]:
    with FlopCounterMode(display=False) as counter:
        model(image, [DetDataSample(metainfo=_metainfo(image))], mode='tensor')
    counts = counter.get_flop_counts()
    name = type(model).__name__
    flops = {part: sum(counts.get(f'{name}.{part}', {}).values()) // 2 for part, _ in model.named_children()}
    # The model calls the layers of its heads directly, so the rest of the total belongs to its heads.
    flops[QUERY_DETECTORS[type(model)]] += counter.get_total_flops() // 2 - sum(flops.values())
    return flops


def _count_segmenter(model: EncoderDecoder, image: Tensor) -> dict[str, int]:
    features, flops = _count_features(model, image)
    _, flops['decode_head'] = _count(model.decode_head, features)
    return flops


def _count_query_segmenter(model: EncoderDecoder, image: Tensor) -> dict[str, int]:
    features, flops = _count_features(model, image)
    _, flops['decode_head'] = _count(model.decode_head, features, [SegDataSample(metainfo=_metainfo(image))])
    return flops


def _metainfo(image: Tensor) -> dict[str, tuple[int, ...]]:
    """Return the sizes that query models read from their data samples."""
    size = tuple(image.shape[-2:])
    return dict(img_shape=size, batch_input_shape=size)


def _count_features(
    model: TwoStageDetector | SingleStageDetector | EncoderDecoder, image: Tensor
) -> tuple[tuple[Tensor, ...], dict[str, int]]:
    """Return the features that the heads take, and the multiply-adds of backbone and neck."""
    flops = {}
    features, flops['backbone'] = _count(model.backbone, image)
    if model.with_neck:
        features, flops['neck'] = _count(model.neck, features)
    return features, flops


def _count(part: Callable, *inputs: object) -> tuple[Any, int]:
    """Call a part of a model, and return its outputs and its multiply-adds."""
    with FlopCounterMode(display=False) as counter:
        outputs = part(*inputs)
    # FlopCounterMode counts a multiply-add as two.
    return outputs, counter.get_total_flops() // 2


def _stages(module: nn.Module) -> Iterable[Any]:
    """Return the stages of a cascade; for another detector, the module itself as the only one."""
    return module if isinstance(module, nn.ModuleList) else [module]
