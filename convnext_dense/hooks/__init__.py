"""What a run does besides its training steps, one behavior a file."""

from convnext_dense.hooks.batch_augments_switch_hook import BatchAugmentsSwitchHook
from convnext_dense.hooks.early_stopping_hook import EarlyStoppingHook
from convnext_dense.hooks.health.divergence_hook import DivergenceHook
from convnext_dense.hooks.health.heartbeat_hook import HeartbeatHook
from convnext_dense.hooks.health.out_of_memory_hook import OutOfMemoryHook
from convnext_dense.hooks.health.stop_hook import StopHook
from convnext_dense.hooks.health.targets_hook import TargetsHook
from convnext_dense.hooks.health.unreadable_files_hook import UnreadableFilesHook
from convnext_dense.hooks.run_summary_hook import RunSummaryHook
from convnext_dense.hooks.run_time_hook import RunTimeHook
from convnext_dense.hooks.speed.channels_last_hook import ChannelsLastHook
from convnext_dense.hooks.speed.compile_hook import CompileHook
from convnext_dense.hooks.speed.cudnn_autotune_hook import CudnnAutotuneHook
from convnext_dense.hooks.speed.fused_optimizer_hook import FusedOptimizerHook
from convnext_dense.hooks.speed.one_transfer_hook import OneTransferHook
from convnext_dense.hooks.speed.prefetch_hook import PrefetchHook
from convnext_dense.hooks.training_cost_hook import TrainingCostHook, read_training_cost

__all__ = [
    'BatchAugmentsSwitchHook',
    'ChannelsLastHook',
    'CompileHook',
    'CudnnAutotuneHook',
    'DivergenceHook',
    'EarlyStoppingHook',
    'FusedOptimizerHook',
    'HeartbeatHook',
    'OneTransferHook',
    'OutOfMemoryHook',
    'PrefetchHook',
    'RunSummaryHook',
    'RunTimeHook',
    'StopHook',
    'TargetsHook',
    'TrainingCostHook',
    'UnreadableFilesHook',
    'read_training_cost',
]
