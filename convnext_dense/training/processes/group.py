"""Brings the processes of a run together."""

import atexit
import threading
from datetime import timedelta

import torch
import torch.distributed
from mmengine.config import Config, ConfigDict

from convnext_dense.errors import UsageError

# How long processes wait for each other, in seconds; NCCL's own limit. PyTorch's for CPUs is half an hour.
LIMIT = 600
# How long a process that ends waits for its threads of gloo.
LEAVING_SECONDS = 5


def time_limit(cfg: Config) -> float:
    """Return how long processes wait for each other, in seconds: ``env_cfg.dist_cfg.timeout``.

    Args:
        cfg: The config, in which the limit is set if it is not there.

    Raises:
        UsageError: If it is no positive number.

    Example:
        >>> time_limit(Config())
        600
    """
    settings = cfg.setdefault('env_cfg', ConfigDict()).setdefault('dist_cfg', ConfigDict())
    limit = settings.setdefault('timeout', LIMIT)
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < float('inf'):
        raise UsageError(f'env_cfg.dist_cfg.timeout must be a positive number of seconds; got {limit!r}.')
    return limit


def join_on_cpu(limit: float) -> None:
    """Join the processes that torchrun started, on CPUs. mmengine's own start of a process sets a GPU first.

    Args:
        limit: How long they wait for each other, in seconds.
    """
    if not torch.cuda.is_available() and not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo', timeout=timedelta(seconds=limit))
        # A thread of gloo's that outlives Python ends the process with SIGABRT, though all work is done.
        atexit.register(_leave)


def _leave() -> None:
    if torch.distributed.is_initialized():
        # Of a process that failed, it may wait for others.
        leaving = threading.Thread(target=torch.distributed.destroy_process_group, daemon=True)
        leaving.start()
        leaving.join(LEAVING_SECONDS)
