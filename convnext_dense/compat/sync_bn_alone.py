"""Lets models with mmcv's SyncBatchNorm be built in a single process."""

from types import SimpleNamespace

import torch.distributed as dist


def let_sync_bn_be_built_alone() -> None:
    """Make mmcv's SyncBatchNorm ('MMSyncBN') count one process where there is no process group.

    mmcv 2.1.0 fails there. mmengine makes BatchNorm of it once the model is built.

    Example:
        >>> let_sync_bn_be_built_alone()
        >>> from mmcv.ops import SyncBatchNorm
        >>> SyncBatchNorm(8).group_size
        1
    """
    from mmcv.ops import sync_bn

    def get_world_size(group: dist.ProcessGroup | None = None) -> int:
        return dist.get_world_size(group) if dist.is_initialized() else 1

    sync_bn.dist = SimpleNamespace(**{**vars(dist), 'get_world_size': get_world_size})  # pyrefly: ignore[bad-assignment]
