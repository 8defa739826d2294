"""Ends a training that has diverged, before its weights replace good ones."""

import math

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from torch import nn

from convnext_dense.errors import RunError, UsageError
from convnext_dense.registry import HOOKS
from convnext_dense.training.processes.sharding import own_part
from convnext_dense.training.quiet_start import FILE_ONLY
from convnext_dense.weights.matching import shorten

# A loss scaler skips steps with infinite gradients, and a batch may have a loss that is NaN and no gradient: the
# weights stay finite, and training goes on. After so many such steps in a row it has stopped for good.
MAX_SKIPPED_STEPS = 20
# Processes tell each other at these steps only; one that ended alone would leave the others waiting.
STEPS_BETWEEN_MESSAGES = 10
NORM_STATISTICS = ('running_mean', 'running_var')


def find_non_finite(model: nn.Module) -> list[str]:
    """Return the names of the weights and of the norms' statistics that hold NaN or infinite values.

    Of a sharded model, that is what this process holds.

    Args:
        model: The model. The device is waited for once.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> layer.bias.data[0] = math.nan
        >>> find_non_finite(layer)
        ['bias']
    """
    tensors = dict(model.named_parameters())
    tensors |= {name: buffer for name, buffer in model.named_buffers() if name.endswith(NORM_STATISTICS)}
    names = [name for name, tensor in tensors.items() if tensor.is_floating_point()]
    finite = [own_part(tensors[name].detach()).isfinite().all() for name in names]
    if not finite:
        return []
    return [name for name, is_finite in zip(names, torch.stack(finite).tolist(), strict=True) if not is_finite]


@HOOKS.register_module()
class DivergenceHook(Hook):
    """Ends training with a sentence when the weights have become NaN or infinite, or the loss is NaN for good.

    It reads the loss that mmengine has fetched for its log, so it costs nothing while the loss is finite. The weights
    are looked at when it is not, and before they are saved or validated. A step that a loss scaler skips is no
    divergence.

    Raises:
        RunError: When training has diverged.
        UsageError: Before training or testing, if the weights that were loaded are not finite.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.DivergenceHook')]
    """

    # After RuntimeInfoHook, which reads the losses, and before all that averages or saves weights.
    priority = 'HIGH'

    def __init__(self) -> None:
        self._skipped = 0
        self._has_warned = False
        self._problem = ''

    def before_train(self, runner: Runner) -> None:
        """Look at the weights that training starts from."""
        self._check_start(runner)

    def before_test(self, runner: Runner) -> None:
        """Look at the weights that are tested."""
        self._check_start(runner)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Look at the loss, and at the weights if the loss is not finite or they are about to be saved."""
        losses = _losses(runner, outputs or {})
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if not bad:
            self._skipped = 0
        elif not self._problem:
            self._look_at_weights(runner, _describe(losses, bad))
        if _is_about_to_save(runner):
            self._check_weights(runner, runner.iter + 1)
        elif get_world_size() == 1 or (runner.iter + 1) % STEPS_BETWEEN_MESSAGES == 0:
            self._end_together(runner, runner.iter + 1)

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

    def _look_at_weights(self, runner: Runner, losses: str) -> None:
        names = find_non_finite(runner.model)
        if names:
            self._problem = f'{losses} at step {runner.iter + 1}, and {shorten(names)} with it'
            return
        self._skipped += 1
        if self._skipped == MAX_SKIPPED_STEPS:
            self._problem = f'{losses} at step {runner.iter + 1} and the {MAX_SKIPPED_STEPS - 1} steps before'
        elif not self._has_warned:
            self._has_warned = True
            runner.logger.warning(
                f'{losses} at step {runner.iter + 1}. The weights are finite, as after a step that the loss scaler '
                f'skips; training ends if {MAX_SKIPPED_STEPS} such steps follow each other.'
            )

    def _check_weights(self, runner: Runner, step: int) -> None:
        if not self._problem and (names := find_non_finite(runner.model)):
            self._problem = f'NaN or infinite values are in {shorten(names)} after step {step}'
        self._end_together(runner, step)

    def _end_together(self, runner: Runner, step: int) -> None:
        has_failed = bool(self._problem)
        if get_world_size() > 1:
            flag = torch.tensor(int(has_failed))
            all_reduce(flag, 'max')
            has_failed = bool(flag)
        if not has_failed:
            return
        problem = self._problem or f'another process has NaN or infinite values at step {step}'
        message = f'training diverged: {problem}. {_advice(runner)} {_last_checkpoint(runner)}'
        runner.logger.error(message, extra=FILE_ONLY)
        raise RunError(message)


def _losses(runner: Runner, outputs: dict) -> dict[str, float]:
    """Return the losses of the step. The total alone, while it is finite: the others are its terms."""
    scalars = runner.message_hub.log_scalars

    def read(name: str) -> float:
        # What RuntimeInfoHook fetched from the device.
        history = scalars.get(f'train/{name}')
        return float(history.current() if history is not None else outputs[name])

    if 'loss' in outputs and math.isfinite(total := read('loss')):
        return {'loss': total}
    return {name: read(name) for name in outputs if 'loss' in name}


def _describe(losses: dict[str, float], bad: list[str]) -> str:
    terms = [name for name in bad if name != 'loss'] or bad
    return f'{shorten(terms)} {"is" if len(terms) == 1 else "are"} {losses[terms[0]]:g}'


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
