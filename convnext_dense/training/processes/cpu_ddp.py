"""Distributed training without GPUs."""

from mmengine.model import MMDistributedDataParallel
from torch import nn

from convnext_dense.registry import MODEL_WRAPPERS
from convnext_dense.training.processes.cpu_sync_bn import sync_on_cpu


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's distributed wrapper for processes that train on CPUs. `fit_to_device` chooses it if there is no GPU.

    PyTorch's SyncBN needs GPUs, so `CPUSyncBatchNorm` takes its place. Parameter names do not change, so checkpoints
    stay interchangeable.

    Args:
        module: The model.
        device_ids: Accepted because mmengine passes it, and ignored: a process on a CPU has no device of its own.
        broadcast_buffers: Whether every step begins with the first process's buffers, such as BN's statistics.
        find_unused_parameters: Whether a step may leave parameters unused.
        static_graph: Whether every step has the graph of the first.
        gradient_as_bucket_view: Whether gradients are views of the buckets that are sent to the other processes.

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
        sync_on_cpu(module)
        super().__init__(
            module,
            broadcast_buffers=broadcast_buffers,
            find_unused_parameters=find_unused_parameters,
            static_graph=static_graph,
            gradient_as_bucket_view=gradient_as_bucket_view,
        )
