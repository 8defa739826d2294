"""Test-time augmentation of detectors that also predict masks."""

from mmdet.models.test_time_augs import DetTTAModel
from mmdet.structures import DetDataSample

from convnext_dense.registry import MODELS


@MODELS.register_module()
class BoxTTAModel(DetTTAModel):
    """mmdet's `DetTTAModel` for instance segmentation: it merges the boxes of all views, and drops the masks.

    mmdet's own fails with a model that predicts masks.

    Example:
        >>> tta_model = dict(
        ...     type='convnext_dense.BoxTTAModel',
        ...     tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))
    """

    def _merge_single_sample(self, data_samples: list[DetDataSample]) -> DetDataSample:
        for sample in data_samples:
            sample.pred_instances.pop('masks', None)
        return super()._merge_single_sample(data_samples)
