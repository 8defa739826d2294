"""What mmdet's detectors lack, registered in ``convnext_dense.registry``."""

from convnext_dense.detectors.batch_random_resize import BatchRandomResize
from convnext_dense.detectors.max_iou_assigner import MaxIoUAssigner
from convnext_dense.detectors.realtime_detr.detector import RealTimeDETR
from convnext_dense.detectors.realtime_detr.encoder.hybrid_encoder import HybridEncoder
from convnext_dense.detectors.realtime_detr.head import DFINEHead, RTDETRv2Head

__all__ = ['BatchRandomResize', 'DFINEHead', 'HybridEncoder', 'MaxIoUAssigner', 'RTDETRv2Head', 'RealTimeDETR']
