"""What mmdet's detectors lack, registered in ``convnext_dense.registry``."""

from convnext_dense.detectors.max_iou_assigner import MaxIoUAssigner

__all__ = ['MaxIoUAssigner']
