"""A real-time DETR as one of mmdet's detectors."""

from typing import Any

from mmdet.models.detectors import SingleStageDetector

from convnext_dense.detectors.realtime_detr.published.rename import rename_published
from convnext_dense.registry import MODELS


@MODELS.register_module()
class RealTimeDETR(SingleStageDetector):
    """A backbone, HybridEncoder, and RTDETRv2Head or DFINEHead.

    It loads the authors' checkpoints of RT-DETRv2 and D-FINE, and those of transformers' `RTDetrV2ForObjectDetection`
    and `DFineForObjectDetection`, as well as its own. Its arguments are those of mmdet's SingleStageDetector.

    Reference:
        `DETRs Beat YOLOs on Real-time Object Detection <https://arxiv.org/abs/2304.08069>`_,
        `RT-DETRv2 <https://arxiv.org/abs/2407.17140>`_, `D-FINE <https://arxiv.org/abs/2410.13842>`_

    Example:
        >>> model = RealTimeDETR(
        ...     backbone=dict(type='convnext_dense.ConvNeXt', arch='atto', out_indices=(1, 2, 3)),
        ...     neck=dict(type='convnext_dense.HybridEncoder', in_channels=[80, 160, 320], out_channels=64),
        ...     bbox_head=dict(type='convnext_dense.DFINEHead', num_classes=3, in_channels=[64] * 3, dims=64),
        ... )
        >>> type(model.bbox_head).__name__
        'DFINEHead'
    """

    def rename_weights(self, weights: dict) -> dict:
        """Return a checkpoint's weights by the names that this model has for them."""
        weights = dict(weights)
        rename_published(weights)
        return weights

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *arguments: Any, **more: Any) -> None:  # noqa: ANN401
        rename_published(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *arguments, **more)
