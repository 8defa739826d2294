"""mmcv's SyncBatchNorm, which configs name 'MMSyncBN', by PyTorch's."""

from mmengine.registry import MODELS
from torch import distributed, nn

from convnext_dense.compat.imports.mmcv_ext import is_mmcv_compiled


class SyncBatchNorm(nn.SyncBatchNorm):
    """PyTorch's layer with mmcv's arguments.

    Args:
        num_features: The number of channels.
        eps: Added to the variance.
        momentum: The part of the running statistics that a batch replaces.
        affine: Whether there are a weight and a bias.
        track_running_stats: Whether there are running statistics.
        group: The processes that share their statistics; None means all.
        stats_mode: Changes nothing. Each pixel counts alike, even where processes have batches of different sizes.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        group: distributed.ProcessGroup | None = None,
        stats_mode: str = 'default',
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, process_group=group)


def provide_sync_bn() -> None:
    """Put PyTorch's SyncBatchNorm in the place of mmcv's, unless mmcv is compiled.

    mmcv's needs compiled operators, and cannot even be built in a single process, where mmengine makes BatchNorm of it.

    Example:
        >>> provide_sync_bn()
        >>> from mmcv.ops import SyncBatchNorm
    """
    from mmcv.ops import sync_bn

    if not is_mmcv_compiled():
        sync_bn.SyncBatchNorm = SyncBatchNorm  # pyrefly: ignore[bad-assignment]
        MODELS.register_module('MMSyncBN', force=True, module=SyncBatchNorm)
