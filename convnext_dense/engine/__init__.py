"""What the command-line tools call, and what their runs add to mmengine's."""

from convnext_dense.engine.backbone_swap import set_backbone
from convnext_dense.engine.config import (
    enable_amp,
    enable_auto_scale_lr,
    load_config,
    set_resume,
)
from convnext_dense.engine.cpu_distributed import CPUDistributedDataParallel
from convnext_dense.engine.training_cost import TrainingCostHook

__all__ = [
    'CPUDistributedDataParallel',
    'TrainingCostHook',
    'enable_amp',
    'enable_auto_scale_lr',
    'load_config',
    'set_backbone',
    'set_resume',
]
