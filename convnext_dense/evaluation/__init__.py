"""Scores, and what evaluates them."""

from typing import TYPE_CHECKING

from convnext_dense.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from convnext_dense.evaluation.box_tta import BoxTTAModel
    from convnext_dense.evaluation.faster_coco_metric import FasterCocoMetric, use_faster_coco_eval
    from convnext_dense.evaluation.strict_load_runner import StrictLoadRunner

__all__ = ['BoxTTAModel', 'FasterCocoMetric', 'StrictLoadRunner', 'use_faster_coco_eval']

__getattr__ = lazy_exports(
    __name__,
    dict(
        BoxTTAModel='box_tta',
        FasterCocoMetric='faster_coco_metric',
        StrictLoadRunner='strict_load_runner',
        use_faster_coco_eval='faster_coco_metric',
    ),
)
