"""What the command-line tools call, and what their runs add to mmengine's."""

from convnext_dense.engine.config import (
    enable_amp,
    enable_auto_scale_lr,
    load_config,
    set_resume,
)
from convnext_dense.engine.cpu_distributed import CPUDistributedDataParallel

__all__ = [
    'CPUDistributedDataParallel',
    'enable_amp',
    'enable_auto_scale_lr',
    'load_config',
    'set_resume',
]
