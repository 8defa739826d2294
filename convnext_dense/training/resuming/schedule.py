"""Makes a resumed run follow its config's optimizer settings and schedules, and not those of its checkpoint."""

import copy
import warnings
from typing import Any

from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner

Groups = list[list[dict[str, Any]]]


def group_settings(runner: Runner) -> Groups:
    """Return the settings of each optimizer's parameter groups, as the config has them before a schedule changes them.

    Args:
        runner: The runner, whose optimizer and schedules are built.
    """
    return [
        [_initial({key: value for key, value in group.items() if key != 'params'}) for group in wrapper.param_groups]
        for wrapper in _wrappers(runner)
    ]


def follow_config(runner: Runner, groups: Groups) -> None:
    """Give the optimizers their settings back, and build the config's schedules for the step that is reached.

    The optimizer keeps what it has gathered, such as Adam's moments.

    Args:
        runner: The runner, which has loaded a checkpoint.
        groups: As `group_settings` returned them before.
    """
    for wrapper, settings in zip(_wrappers(runner), groups, strict=True):
        for group, values in zip(wrapper.param_groups, settings, strict=True):
            group.update(copy.deepcopy(values))
    if runner.cfg.get('param_scheduler') is None:
        return
    runner.param_schedulers = runner.build_param_scheduler(copy.deepcopy(runner.cfg.param_scheduler))
    built = runner.param_schedulers
    schedules = [one for some in built.values() for one in some] if isinstance(built, dict) else built
    by_step = [schedule for schedule in schedules if not schedule.by_epoch]
    by_epoch = [schedule for schedule in schedules if schedule.by_epoch]
    with warnings.catch_warnings():
        # PyTorch's advice to step the optimizer first.
        warnings.simplefilter('ignore')
        for epoch in range(max(runner.epoch, 1)):
            end = runner.iter * (epoch + 1) // max(runner.epoch, 1)
            for _ in range(runner.iter * epoch // max(runner.epoch, 1), end):
                for schedule in by_step:
                    schedule.step()
            if epoch < runner.epoch:
                for schedule in by_epoch:
                    schedule.step()


def _wrappers(runner: Runner) -> list[OptimWrapper]:
    wrapper: Any = runner.optim_wrapper
    return list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def _initial(settings: dict[str, Any]) -> dict[str, Any]:
    """Undo what a schedule has done: it keeps what was there before under another name."""
    return settings | {
        key.removeprefix('initial_'): value for key, value in settings.items() if key.startswith('initial_')
    }
