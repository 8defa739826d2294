"""What the command-line tools call, and what their runs add to mmengine's."""

from convnext_dense.engine.backbone_swap import set_backbone
from convnext_dense.engine.bfloat16 import BFloat16OptimWrapper
from convnext_dense.engine.channels_last import ChannelsLastHook
from convnext_dense.engine.compilation import CompileHook
from convnext_dense.engine.config import (
    enable_amp,
    enable_auto_scale_lr,
    load_config,
    set_resume,
)
from convnext_dense.engine.cpu_distributed import CPUDistributedDataParallel
from convnext_dense.engine.cudnn_autotuning import CudnnAutotuneHook
from convnext_dense.engine.fused_optimizer import FusedOptimizerHook
from convnext_dense.engine.prefetching import PrefetchHook
from convnext_dense.engine.speed import enable_speed, enable_speed_in_testing
from convnext_dense.engine.training_cost import TrainingCostHook

__all__ = [
    'BFloat16OptimWrapper',
    'CPUDistributedDataParallel',
    'ChannelsLastHook',
    'CompileHook',
    'CudnnAutotuneHook',
    'FusedOptimizerHook',
    'PrefetchHook',
    'TrainingCostHook',
    'enable_amp',
    'enable_auto_scale_lr',
    'enable_speed',
    'enable_speed_in_testing',
    'load_config',
    'set_backbone',
    'set_resume',
]
