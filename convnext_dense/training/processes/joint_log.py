"""Logs what all processes measured, and not the first one's part of the batch alone."""

from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, get_world_size
from mmengine.logging import HistoryBuffer
from mmengine.runner import LogProcessor, Runner

from convnext_dense.registry import LOG_PROCESSORS

# What each process measures for itself, or has in common with the others.
OWN = ('time', 'lr', 'momentum', 'memory', 'grad_norm')
# How many values are exchanged of a history that drops its oldest values for new ones.
TAIL = 1000
LENGTHS = '_shared_lengths'


@LOG_PROCESSORS.register_module()
class JointLogProcessor(LogProcessor):
    """mmengine's log processor, whose training losses are the mean over all processes.

    Example:
        >>> log_processor = dict(type='convnext_dense.JointLogProcessor', by_epoch=False)
    """

    def _collect_scalars(
        self, custom_cfg: list[dict], runner: Runner, mode: str, reserve_prefix: bool = False
    ) -> dict[str, Any]:
        # Metrics are joint already, and processes may have different numbers of batches to test.
        if mode == 'train':
            share_losses(runner)
        return super()._collect_scalars(custom_cfg, runner, mode, reserve_prefix)


def share_losses(runner: Runner) -> None:
    """Make the training losses in each process's history the mean over all processes.

    All processes call it together, where a line of the log or a checkpoint is written and not in each step. A
    checkpoint has the first process's history, so a resumed run goes on from the same one in each process.

    Args:
        runner: The runner, whose message hub's histories are changed.
    """
    if get_world_size() == 1:
        return
    lengths: dict[str, int] = vars(runner).setdefault(LENGTHS, {})
    scalars = runner.message_hub.log_scalars
    histories = {key: scalars[key] for key in scalars if key.startswith('train/') and not key.endswith(OWN)}
    own = {key: _new_values(history, lengths.get(key, 0)) for key, history in histories.items()}
    processes = all_gather_object(own)
    for key, values in own.items():
        history = histories[key]
        before = np.asarray(history._log_history)[: len(history._log_history) - len(values)]
        found = [process[key] for process in processes if len(process.get(key, ())) == len(values)]
        history._log_history = np.concatenate([before, _mean(np.stack(found))])
        lengths[key] = len(history._log_history)


def _new_values(history: HistoryBuffer, length: int) -> np.ndarray:
    """Return the values that were added since a history had a length, and maybe some that are shared already."""
    values = np.asarray(history._log_history)
    return values[min(length, max(len(values) - TAIL, 0)) if len(values) == history.max_length else length :]


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis; what is equal there stays to the last bit."""
    return np.where((values == values[0]).all(0), values[0], values.mean(0))
