"""Leaves out steps whose loss or gradients are not finite, and ends or mends a training that has diverged."""

from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from convnext_dense.errors import RunError, UsageError
from convnext_dense.hooks.health.step_report import Suspect, in_any_process, look_into, of_all_processes, read_losses
from convnext_dense.registry import HOOKS
from convnext_dense.training.checkpoints.going_back import go_back
from convnext_dense.training.quiet_start import FILE_ONLY
from convnext_dense.training.resuming.module_state import BUILT, note_attributes
from convnext_dense.training.resuming.rng import rng_state
from convnext_dense.training.steps.buffer_copies import BufferCopies
from convnext_dense.training.steps.finite import find_non_finite, is_sharded
from convnext_dense.training.steps.update_guard import UpdateGuard
from convnext_dense.training.unwrap import unwrap
from convnext_dense.weights.matching import shorten

ACTIONS = ('stop', 'skip', 'rollback')
# A loss scaler skips steps with infinite gradients while it looks for its scale, and a loss that is NaN may have no
# gradient. After so many such steps in a row, training has stopped for good.
MAX_SKIPPED_STEPS = 20
# Processes tell each other at these steps only what they do not all see.
STEPS_BETWEEN_MESSAGES = 10
# A file has the weights and the optimizer's state.
MAX_FILES = 3


@HOOKS.register_module()
class DivergenceHook(Hook):
    """Leaves out each step whose loss or gradients are not finite, and ends training if there are too many.

    Such a step changes no weight and no norm's statistics. The log names it, its images, the first module whose output
    is not finite, and the parameter groups whose gradients are not. The first of a row is written to a file that
    `convnext-dense replay` makes again, for at most three rows.

    Weights that an update has made NaN or infinite end training at once, or make it go back; they are neither saved nor
    validated. A step that a loss scaler skips for the sake of its scale does not count, unless 20 follow each other.

    Args:
        action: What comes of such steps. 'stop' ends training at `in_a_row` of them. 'skip' ends it at more than
            `max_skipped` in the whole run. 'rollback' goes back to the last checkpoint at `in_a_row` of them, with
            learning rates multiplied by `lr_factor`, and ends training when `max_rollbacks` are used up. The data, the
            steps and the schedules go on.
        in_a_row: How many steps in a row are too many.
        max_skipped: How many steps of a run may be left out.
        max_rollbacks: How often a run may go back.
        lr_factor: What a rollback multiplies the learning rates by, below 1.

    Raises:
        RunError: When training has diverged.
        UsageError: Before training or testing, if the weights that were loaded are not finite, or an argument is wrong.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.DivergenceHook', action='skip', max_skipped=10)]
    """

    # After RuntimeInfoHook, which reads the losses, and before all that averages or saves weights.
    priority = 'HIGH'

    def __init__(
        self,
        action: str = 'stop',
        in_a_row: int = 3,
        max_skipped: int = 100,
        max_rollbacks: int = 3,
        lr_factor: float = 0.5,
    ) -> None:
        if action not in ACTIONS:
            raise UsageError(f'DivergenceHook.action must be one of {", ".join(ACTIONS)}; got {action!r}.')
        for name, value in (('in_a_row', in_a_row), ('max_skipped', max_skipped), ('max_rollbacks', max_rollbacks)):
            if type(value) is not int or value < 1:
                raise UsageError(f'DivergenceHook.{name} must be an integer of at least 1; got {value!r}.')
        if not isinstance(lr_factor, int | float) or not 0 < lr_factor < 1:
            raise UsageError(f'DivergenceHook.lr_factor must be above 0 and below 1; got {lr_factor!r}.')
        self.action, self.in_a_row, self.lr_factor = action, in_a_row, lr_factor
        self.max_skipped, self.max_rollbacks = max_skipped, max_rollbacks
        self.skipped = self.rollbacks = 0
        # All processes count these alike, and the rest each on its own.
        self._in_a_row = self._scaler_skips = 0
        self._noted = 0
        self._has_warned = False
        self._problem = ''
        self._suspect: Suspect | None = None
        self._file = ''
        self._files = 0

    def state_dict(self) -> dict[str, int]:
        """Return what a resumed run has to know."""
        return dict(skipped=self.skipped, rollbacks=self.rollbacks, in_a_row=self._in_a_row)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Count on from where a run was."""
        # A checkpoint may be one of someone else.
        counts = [state.get(name) for name in ('skipped', 'rollbacks', 'in_a_row')]
        self.skipped, self.rollbacks, self._in_a_row = (count if type(count) is int else 0 for count in counts)

    def before_train(self, runner: Runner) -> None:
        """Look at the weights that training starts from, and at all updates from now on."""
        self._check_start(runner)
        model = unwrap(runner.model)
        if BUILT not in vars(model):
            note_attributes(model)
        self._is_sharded = is_sharded(runner.model)
        if self._is_sharded and self.action == 'rollback':
            raise UsageError("DivergenceHook.action: 'rollback' needs the whole model in each process; FSDP shards it.")
        self._guard = UpdateGuard(runner.optim_wrapper, self._is_sharded)
        self._buffers = BufferCopies(model)

    def after_train(self, runner: Runner) -> None:
        """Say how many steps were left out, and look at updates no more."""
        self._guard.remove()
        if self.skipped:
            steps = 'step was' if self.skipped == 1 else 'steps were'
            runner.logger.warning(f'{self.skipped} {steps} left out, since a loss or a gradient was not finite.')

    def before_test(self, runner: Runner) -> None:
        """Look at the weights that are tested."""
        self._check_start(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:  # noqa: ANN401
        """Keep what the step changes besides the weights."""
        self._rng = rng_state()
        self._buffers.update()
        self._guard.reset()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Look at the losses and at what was found of the gradients; look at the weights if they are to be saved."""
        suspect = Suspect(runner.iter + 1, data_batch, self._rng, read_losses(runner, outputs or {}))
        left_out = self._is_left_out(suspect)
        is_bad = bool(suspect.bad_losses) or left_out
        if is_bad or (not self._guard.is_update_due and self._guard.has_bad_gradients()):
            # Of steps whose gradients are accumulated, the first that is bad spoils the others.
            self._suspect = self._suspect or suspect
            self._buffers.restore()
        if left_out:
            self._leave_out(runner, self._suspect or suspect)
        elif self._guard.is_update_due:
            self._in_a_row = 0
            self._note_losses(runner)
        if self._guard.is_update_due:
            self._suspect = None
        if _is_about_to_save(runner):
            self._check_weights(runner, runner.iter + 1)
        elif get_world_size() == 1 or (runner.iter + 1) % STEPS_BETWEEN_MESSAGES == 0:
            self._fail_together(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Look at the weights before they are saved."""
        self._check_weights(runner, runner.iter)

    def before_val(self, runner: Runner) -> None:
        """Look at the weights before they are validated."""
        if runner.iter:
            self._check_weights(runner, runner.iter)

    def _check_start(self, runner: Runner) -> None:
        if names := find_non_finite(runner.model):
            source = f'checkpoint {runner._load_from}' if runner._load_from else 'the weights at the start'
            raise UsageError(f'{source}: NaN or infinite values are in {shorten(names)}.')

    def _is_left_out(self, suspect: Suspect) -> bool:
        """Return whether the update was left out for what counts. All processes answer alike."""
        if self._guard.left_out:
            return True
        if self._guard.scaler_left_out():
            if in_any_process(bool(suspect.bad_losses)):
                return True
            self._scaler_skips += 1
            if self._scaler_skips == MAX_SKIPPED_STEPS:
                self._problem = (
                    f'the loss scaler has left out {MAX_SKIPPED_STEPS} updates in a row up to step {suspect.step}, '
                    'since gradients are not finite at any scale'
                )
        elif self._guard.is_update_due:
            self._scaler_skips = 0
        return False

    def _leave_out(self, runner: Runner, suspect: Suspect) -> None:
        """Count a step that was left out, say what is wrong with it, and end training or go back if it is too much."""
        names = find_non_finite(runner.model)
        keep = not self._in_a_row and self._files < MAX_FILES
        report = look_into(runner, suspect, self._guard, not self._is_sharded, keep)
        if report.file:
            self._files += 1
            self._file = report.file
        text = of_all_processes(report)
        self.skipped += 1
        self._in_a_row += 1
        row = f'. These are {self._in_a_row} such steps in a row' if self._in_a_row > 1 else ''
        weights = f'. NaN or infinite values are in {shorten(names)}' if names else ''
        problem = f'{text}{row}{weights}'
        if in_any_process(bool(names)) or self._is_too_much():
            self._fail(runner, problem)
            return
        runner.logger.warning(f'step {suspect.step} was left out: {text}.{report.file} {self._limit()}')

    def _is_too_much(self) -> bool:
        return self.skipped > self.max_skipped if self.action == 'skip' else self._in_a_row >= self.in_a_row

    def _limit(self) -> str:
        if self.action == 'skip':
            return f'It is number {self.skipped} of at most {self.max_skipped} that are left out.'
        end = 'training ends' if self.action == 'stop' else 'training goes back to the last checkpoint'
        return f'At {self.in_a_row} such steps in a row, {end}.'

    def _note_losses(self, runner: Runner) -> None:
        """Look at the weights if a loss is not finite and the update was made nevertheless."""
        suspect = self._suspect
        if suspect is None:
            self._noted = 0
            return
        if self._problem:
            return
        if names := find_non_finite(runner.model):
            self._problem = f'{suspect.cause}, and {shorten(names)} with it'
            return
        self._noted += 1
        if self._noted == MAX_SKIPPED_STEPS:
            self._problem = f'{suspect.cause} and the {MAX_SKIPPED_STEPS - 1} steps before'
        elif not self._has_warned:
            self._has_warned = True
            runner.logger.warning(
                f'{suspect.cause}. The weights are finite; training ends if {MAX_SKIPPED_STEPS} such steps follow '
                'each other.'
            )

    def _check_weights(self, runner: Runner, step: int) -> None:
        if not self._problem and (names := find_non_finite(runner.model)):
            self._problem = f'NaN or infinite values are in {shorten(names)} after step {step}'
        self._fail_together(runner, step)

    def _fail_together(self, runner: Runner, step: int) -> None:
        if in_any_process(bool(self._problem)):
            self._fail(runner, self._problem or f'another process has NaN or infinite values at step {step}')

    def _fail(self, runner: Runner, problem: str) -> None:
        """Go back if that is to be, or end training. All processes do it together."""
        can_go_back = self.action == 'rollback' and self.rollbacks < self.max_rollbacks
        if can_go_back and (checkpoint := go_back(runner, self.lr_factor)):
            self.rollbacks += 1
            self._in_a_row = self._scaler_skips = self._noted = 0
            self._problem = ''
            runner.logger.warning(
                f'{problem}.{self._file} Training goes back to the weights of {checkpoint}, with learning rates times '
                f'{self.lr_factor:g}; it is number {self.rollbacks} of at most {self.max_rollbacks} times.'
            )
            return
        message = f'training diverged: {problem}.{self._file} {_advice(runner)} {_last_checkpoint(runner)}'
        runner.logger.error(message, extra=FILE_ONLY)
        raise RunError(message)


def _advice(runner: Runner) -> str:
    rates = [rate for name, values in runner.optim_wrapper.get_lr().items() if name.endswith('lr') for rate in values]
    clips = getattr(runner.optim_wrapper, 'clip_grad_kwargs', None)
    clip = '' if clips else ', or optim_wrapper.clip_grad=dict(max_norm=1.0)'
    rate = f', which is {max(rates):g} now' if rates else ''
    return f'A smaller optim_wrapper.optimizer.lr{rate}, a longer warmup{clip} may help.'


def _last_checkpoint(runner: Runner) -> str:
    checkpoint = runner.message_hub.runtime_info.get('last_ckpt')
    return f'The last checkpoint is {checkpoint}.' if checkpoint else 'No checkpoint was saved.'


def _is_about_to_save(runner: Runner) -> bool:
    return any(
        isinstance(hook, CheckpointHook)
        and not hook.by_epoch
        and (
            hook.every_n_train_iters(runner, hook.interval, hook.save_begin)
            or (hook.save_last and hook.is_last_train_iter(runner))
        )
        for hook in runner.hooks
    )
