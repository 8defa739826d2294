"""Goes back to a checkpoint in the middle of a run."""

from pathlib import Path
from typing import Any

from mmengine.dist import barrier, broadcast_object_list
from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from convnext_dense.errors import CheckpointError
from convnext_dense.training.checkpoints.optimizer_state import (
    lay_out_like_parameters,
    optimizers_of,
    saved_optimizers,
    wrappers_of,
)
from convnext_dense.training.unwrap import unwrap
from convnext_dense.weights.storage.files import read_file

# Where schedules keep rates in a parameter group.
RATES = ('lr', 'initial_lr', 'max_lr', 'min_lr')


def go_back(runner: Runner, factor: float) -> str:
    """Load the weights and the optimizer's state of the last checkpoint, and lower the learning rates.

    The data, the count of steps and the schedules go on from where they are. All processes call it together.

    Args:
        runner: The runner.
        factor: What the learning rates are multiplied by, from now to the end of the run.

    Returns:
        The checkpoint; '' if there is none that can be loaded, and nothing was changed.
    """
    names = [runner.message_hub.runtime_info.get('last_ckpt')]
    broadcast_object_list(names)
    # The first process may still write it.
    barrier()
    if not names[0] or not Path(names[0]).is_file():
        return ''
    try:
        checkpoint = read_file(names[0], mmap=False)
    except CheckpointError:
        return ''
    _load_average(runner, checkpoint)
    unwrap(runner.model).load_state_dict(checkpoint['state_dict'])
    optimizers = optimizers_of(runner.optim_wrapper)
    for optimizer, saved in zip(optimizers, saved_optimizers(checkpoint), strict=False):
        optimizer.load_state_dict(dict(state=saved['state'], param_groups=optimizer.state_dict()['param_groups']))
        lay_out_like_parameters(optimizer)
    for optimizer in optimizers:
        optimizer.zero_grad()
    scale_rates(runner, factor)
    return names[0]


def scale_rates(runner: Runner, factor: float) -> None:
    """Multiply the learning rates of a run, now and in the steps that follow.

    Args:
        runner: The runner.
        factor: The factor. The lowest rate of a schedule, `eta_min`, stays.
    """
    # With the group that mmengine keeps for its log of the rate.
    for group in (group for wrapper in wrappers_of(runner.optim_wrapper) for group in wrapper.param_groups):
        group.update({name: group[name] * factor for name in RATES if name in group})
    schedulers: Any = runner.param_schedulers or []
    lists = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    for scheduler in (scheduler for schedulers in lists for scheduler in schedulers):
        if scheduler.param_name == 'lr':
            scheduler.base_values = [value * factor for value in scheduler.base_values]


def _load_average(runner: Runner, checkpoint: dict) -> None:
    """Load the averaged weights, which a checkpoint has in the place of the model's."""
    was_resuming, runner._resume = runner._resume, True
    try:
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                hook.after_load_checkpoint(runner, checkpoint)
    finally:
        runner._resume = was_resuming
