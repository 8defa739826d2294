"""What a training step and a run are made of."""

from convnext_dense.training.bf16_optim_wrapper import BFloat16OptimWrapper
from convnext_dense.training.processes.cpu_ddp import CPUDistributedDataParallel
from convnext_dense.training.processes.sharded_runner import FullyShardedModel
from convnext_dense.training.unwrap import unwrap

__all__ = ['BFloat16OptimWrapper', 'CPUDistributedDataParallel', 'FullyShardedModel', 'unwrap']
