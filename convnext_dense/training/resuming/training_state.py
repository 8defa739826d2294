"""What a run is made of besides its weights, its optimizer and its schedules, as a checkpoint holds it."""

from dataclasses import dataclass
from typing import Any

from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor

from convnext_dense.errors import CheckpointError, describe
from convnext_dense.training.processes.joint_log import share_losses
from convnext_dense.training.processes.sharding import gradient_of_part, own_part
from convnext_dense.training.quiet_start import SHOWN_AT_START
from convnext_dense.training.resuming.module_state import changed_attributes, set_attributes
from convnext_dense.training.resuming.rng import kept_generators, rng_state, seed_generators, set_rng_state
from convnext_dense.training.unwrap import unwrap
from convnext_dense.wording import counted

TRAINING_STATE = 'training_state'


@dataclass
class Progress:
    """Where a training loop is.

    Args:
        batch: How many batches of the epoch are trained.
        has_validated: Whether the validation that follows the last step is done.
        rng_before_validation: The random generators' state before the validation that runs now.
    """

    batch: int = 0
    has_validated: bool = False
    rng_before_validation: dict[str, Any] | None = None


def collect_state(runner: Runner) -> dict[str, Any] | None:
    """Return what a checkpoint has to hold so that a run can go on as if it had never stopped.

    All processes call it together. What is returned is plain data and tensors.

    Args:
        runner: The runner.

    Returns:
        The state; None if the training loop is not one of `convnext_dense.training.resuming.loops`.
    """
    progress = getattr(runner.train_loop, 'progress', None)
    if progress is None:
        return None
    own = dict(rng=progress.rng_before_validation or rng_state(), gradients=_gradients(runner))
    return dict(
        batch=progress.batch,
        batches=len(runner.train_dataloader),
        batch_size=getattr(runner.train_dataloader.batch_sampler, 'batch_size', None),
        has_validated=progress.has_validated,
        processes=all_gather_object(own),
        hooks={name: hook.state_dict() for name, hook in _hooks_with_state(runner).items()},
        modules=changed_attributes(unwrap(runner.model)),
    )


def note_state(runner: Runner) -> None:
    """Note what the next checkpoint has to hold, as the runner's `training_state`. All processes call it together.

    Args:
        runner: The runner.
    """
    share_losses(runner)
    vars(runner)['training_state'] = collect_state(runner)


def is_training_state(value: object) -> bool:
    """Return whether a value has the form of what `collect_state` returns.

    Args:
        value: What a checkpoint holds, which may be anyone's.

    Example:
        >>> is_training_state(dict(batch='many'))
        False
    """
    if not isinstance(value, dict):
        return False
    counts = [value.get(name) for name in ('batch', 'batches')]
    processes = value.get('processes')
    if not all(type(count) is int and count >= 0 for count in counts) or type(value.get('has_validated')) is not bool:
        return False
    if not all(isinstance(value.get(name), dict) for name in ('hooks', 'modules')):
        return False
    if not isinstance(processes, list) or not processes:
        return False
    try:
        with kept_generators():
            for process in processes:
                set_rng_state(process['rng'])
                process['gradients'].items()
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError):
        return False
    return True


def restore_state(runner: Runner, progress: Progress) -> bool:
    """Give a runner what a checkpoint holds of its run.

    Args:
        runner: The runner, which has loaded the checkpoint. Its `resumed_state` is taken, and set to None.
        progress: That of its training loop, which is changed.

    Returns:
        Whether there was anything to restore.
    """
    state, runner.resumed_state = getattr(runner, 'resumed_state', None), None
    if not isinstance(state, dict):
        return False
    batches = len(runner.train_dataloader)
    progress.batch = state['batch']
    if batches != state['batches'] and state['batch']:
        progress.batch = round(state['batch'] / state['batches'] * batches)
    progress.has_validated = state['has_validated']
    set_attributes(unwrap(runner.model), state['modules'])
    _restore_process(runner, state['processes'])
    _say_what_differs(runner, state)
    return True


def restore_hooks(runner: Runner) -> None:
    """Give hooks the state that a checkpoint holds of them.

    Args:
        runner: The runner, which has loaded the checkpoint.

    Raises:
        CheckpointError: If a hook cannot take it.
    """
    state = getattr(runner, 'resumed_state', None) or dict(hooks={})
    for name, hook in _hooks_with_state(runner).items():
        if name not in state['hooks']:
            continue
        try:
            hook.load_state_dict(state['hooks'][name])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"resume: the checkpoint's state of {type(hook).__name__} is of another form ({describe(error)})."
            ) from error


def _restore_process(runner: Runner, processes: list[dict]) -> None:
    rank = get_rank()
    if rank < len(processes):
        set_rng_state(processes[rank]['rng'])
    else:
        seed_generators(runner.seed, runner.iter, rank)
    if len(processes) != get_world_size():
        # The gradients of other processes' batches.
        return
    parameters = dict(unwrap(runner.model).named_parameters())
    for name, gradient in processes[rank]['gradients'].items():
        parameters[name].grad = gradient_of_part(parameters[name], gradient)


def _gradients(runner: Runner) -> dict[str, Tensor]:
    """Return the gradients that are accumulated for an update that is still to come."""
    wrapper = runner.optim_wrapper
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    if all(wrapper.should_update() for wrapper in wrappers if isinstance(wrapper, OptimWrapper)):
        return {}
    parameters = unwrap(runner.model).named_parameters()
    return {name: own_part(parameter.grad).cpu() for name, parameter in parameters if parameter.grad is not None}


def _hooks_with_state(runner: Runner) -> dict[str, Any]:
    """Return the hooks that have a state to keep, by names that are the same in each run of a config."""
    hooks = [hook for hook in runner.hooks if hasattr(hook, 'state_dict') and hasattr(hook, 'load_state_dict')]
    names = [type(hook).__name__ for hook in hooks]
    return {f'{name}.{names[:i].count(name)}': hook for i, (name, hook) in enumerate(zip(names, hooks, strict=True))}


def _say_what_differs(runner: Runner, state: dict) -> None:
    processes, size = len(state['processes']), state['batch_size']
    now = get_world_size(), getattr(runner.train_dataloader.batch_sampler, 'batch_size', None)
    if now == (processes, size):
        return
    rest = '' if now[0] * now[1] == processes * size else ', and on batches of another size'
    runner.logger.warning(
        f'resume: {counted(now[0], "process")} of {counted(now[1] or 0, "image")} now, and {processes} of {size} '
        'before. The steps that '
        f'follow train on other random numbers than those of a run that was never stopped{rest}.',
        extra=SHOWN_AT_START,
    )
