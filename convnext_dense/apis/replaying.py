"""Makes a step again that a run has kept because its loss or a gradient was not finite."""

import logging
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from convnext_dense.build_errors import build_sentence, message_of
from convnext_dense.config.device import fit_to_device
from convnext_dense.config.foreign import check_strings, registered_types_only, without_weights
from convnext_dense.errors import UsageError
from convnext_dense.training.resuming.module_state import note_attributes, set_attributes
from convnext_dense.training.resuming.rng import kept_generators, set_rng_state
from convnext_dense.training.steps.batch_as_data import from_data
from convnext_dense.training.steps.diagnosis import diagnose
from convnext_dense.training.steps.recorded_step import RecordedStep, digest, read_step
from convnext_dense.training.steps.replayed_step import ReplayedStep
from convnext_dense.training.steps.update_guard import UpdateGuard

TASKS = ('mmdet', 'mmseg')


def replay(file: str | Path, cfg: Config | None = None) -> ReplayedStep:
    """Make a step again, and find out where its values that are not finite come from.

    The file may be a stranger's. Nothing in it runs, and its config builds only what OpenMMLab's and this package's
    registries hold.

    Args:
        file: What a run has written as ``non_finite_step_*.pt``.
        cfg: The config of the run, as `load_config` returns it; needed if the model has components of your own. By
            default the one in the file.

    Raises:
        UsageError: If the file cannot be read, or its model cannot be built from its config.

    Example:
        >>> replay('work_dirs/my_config/non_finite_step_812.pt').is_same  # doctest: +SKIP
        True
    """
    recorded = read_step(file)
    own = cfg or _config_of(recorded, file)
    on_gpu = recorded.device != 'cpu' and torch.cuda.is_available()
    with _as_sentences(own, file), kept_generators(), _quiet(), _as_recorded(recorded):
        model, wrapper = _build(recorded, own, 'cuda' if on_gpu else 'cpu', trusted=cfg is not None)
        batch = from_data(recorded.batch)
        losses, gradients = _make(model, wrapper, recorded, batch)
        diagnosis = diagnose(model, wrapper, batch, recorded.rng)
    same = gradients == recorded.gradients if recorded.gradients else None
    device = torch.cuda.get_device_name() if on_gpu else 'cpu'
    return ReplayedStep(recorded, losses, same, diagnosis, device)


def _config_of(recorded: RecordedStep, file: str | Path) -> Config:
    config = recorded.config
    parts = {key: config.get(key) for key in ('model', 'optim_wrapper')}
    if not all(isinstance(part, dict) for part in parts.values()) or config.get('default_scope') not in TASKS:
        raise UsageError(f'file: {file} has no config of a detector or a segmenter; give the config of its run.')
    check_strings(parts, str(file))
    return Config(dict(parts, default_scope=config['default_scope'], launcher='none'))


def _build(recorded: RecordedStep, cfg: Config, device: str, trusted: bool) -> tuple[nn.Module, OptimWrapper]:
    """Build the model and its optimizer, with the recorded weights and state."""
    fit_to_device(cfg)
    # mmengine's classes write into what they are built from.
    parts = Config(without_weights(cfg.to_dict()))
    with DefaultScope.overwrite_default_scope(cfg.default_scope), nullcontext() if trusted else registered_types_only():
        model = MODELS.build(parts.model)
        note_attributes(model)
        # With the strides of the recorded weights, on which the order of sums depends.
        model.load_state_dict(recorded.weights, assign=True)
        model.to(device).train()
        set_attributes(model, recorded.attributes)
        wrapper = build_optim_wrapper(model, parts.optim_wrapper)
    wrapper.load_state_dict(recorded.optimizer)
    # The step is yet to come.
    wrapper.initialize_count_status(model, max(recorded.counts[0] - 1, 0), recorded.counts[1])
    return model, wrapper


def _make(
    model: nn.Module,
    wrapper: OptimWrapper,
    recorded: RecordedStep,
    batch: Any,  # noqa: ANN401 - what a loader yields
) -> tuple[dict[str, float], str]:
    """Return the losses of the step, and the digest of the gradients that its update was left out for."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    guard = UpdateGuard(wrapper)
    set_rng_state(recorded.rng)
    outputs = model.train_step(batch, optim_wrapper=wrapper)
    gradients = [(names[id(parameter)], gradient) for parameter, gradient in guard.gradients]
    guard.remove()
    return {name: float(value) for name, value in outputs.items() if 'loss' in name}, digest(gradients)


@contextmanager
def _as_recorded(recorded: RecordedStep) -> Generator[None]:
    """Give PyTorch its threads, and mmengine its counts of the step, while the block runs."""
    threads = torch.get_num_threads()
    hub = MessageHub.get_current_instance()
    before = dict(hub.runtime_info)
    torch.set_num_threads(max(1, min(recorded.threads, 1024)))
    for name, value in recorded.info.items():
        hub.update_info(str(name), value)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        hub.runtime_info.clear()
        hub.runtime_info.update(before)


@contextmanager
def _quiet() -> Generator[None]:
    """Log nothing of how the model is built, except warnings."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.INFO))
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _as_sentences(cfg: Config, file: str | Path) -> Generator[None]:
    """Raise UsageError if the config, the weights and the batch do not fit together."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        reason = build_sentence(error, cfg, 'model') or message_of(error)
        raise UsageError(f'file: the step in {file} cannot be made again: {reason}') from error
