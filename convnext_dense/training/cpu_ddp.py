"""Distributed training without GPUs."""

from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from torch import nn
from torch.nn import SyncBatchNorm

from convnext_dense.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's wrapper for processes that train on the CPU. The tools choose it where there is no GPU.

    PyTorch's SyncBN needs GPUs, so it becomes BN, and a line in the log says so (in a single process, mmengine does
    the same). The layers keep their parameters, and checkpoints stay interchangeable.

    Args:
        module: The model.
        device_ids: Taken from mmengine and left aside: processes on a CPU have no device of their own.
        broadcast_buffers: Whether every step begins with the first process's buffers, such as BN's statistics.
        find_unused_parameters: Whether some parameters may take no part in a step.
        static_graph: Whether every step's graph is the first one's.
        gradient_as_bucket_view: Whether gradients lie in the memory that is sent to the other processes.

    Example:
        >>> model_wrapper_cfg = dict(type='convnext_dense.CPUDistributedDataParallel')
    """

    def __init__(
        self,
        module: nn.Module,
        device_ids: list[int] | None = None,
        broadcast_buffers: bool = False,
        find_unused_parameters: bool = False,
        static_graph: bool = False,
        gradient_as_bucket_view: bool = False,
    ) -> None:
        layers = sum(isinstance(each, SyncBatchNorm) for each in module.modules())
        if layers:
            module = revert_sync_batchnorm(module)
            print_log(f'{layers} SyncBN layers became BN: there is no GPU.', logger='current')
        super().__init__(
            module,
            broadcast_buffers=broadcast_buffers,
            find_unused_parameters=find_unused_parameters,
            static_graph=static_graph,
            gradient_as_bucket_view=gradient_as_bucket_view,
        )
