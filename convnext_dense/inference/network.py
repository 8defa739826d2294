"""Builds a model of its config and its checkpoint, on a device."""

import logging
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS
from torch import nn

from convnext_dense.build_errors import build_sentence, message_of
from convnext_dense.config.foreign import without_weights
from convnext_dense.errors import CheckpointError, UsageError
from convnext_dense.inference.find_model import FoundModel
from convnext_dense.weights.matching import printable, shorten, without_counters


def build_network(found: FoundModel) -> nn.Module:
    """Return the network that a config describes, without reading weights. It is built in the current scope.

    Args:
        found: Its config.

    Raises:
        UsageError: If it cannot be built.
    """
    model = without_weights(found.cfg.model.to_dict())
    try:
        return MODELS.build(Config(model)._cfg_dict)
    except UsageError:
        raise
    except Exception as error:
        reason = (build_sentence(error, found.cfg, 'model') or message_of(error)).removeprefix('model: ')
        raise UsageError(f'model: {reason.rstrip(".")}{_imports(found)}.') from error


def load_weights(model: nn.Module, content: dict, source: str) -> None:
    """Load a checkpoint into a model.

    Args:
        model: The model, which is changed.
        content: The checkpoint.
        source: Where it is from.

    Raises:
        CheckpointError: If it lacks a tensor of the model, or has one in another shape.
    """
    weights = content.get('state_dict', content)
    weights = {name.removeprefix('module.'): value for name, value in weights.items()}
    try:
        missing = model.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as error:
        raise CheckpointError(f'{source} has weights of other shapes than the model: {message_of(error)}') from error
    missing = without_counters(missing)
    if missing:
        raise CheckpointError(f'{source} is no checkpoint of this model: it lacks {shorten(missing)}.')


def find_device(name: str | None) -> torch.device:
    """Return the device of a name.

    Args:
        name: Such as 'cuda:1'. None is the GPU if there is one, and else the CPU.

    Raises:
        UsageError: If it cannot be used.

    Example:
        >>> find_device('cpu')
        device(type='cpu')
    """
    try:
        device = torch.device(name or ('cuda' if torch.cuda.is_available() else 'cpu'))
        # A wrong number shows itself at the first use.
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f'device: {name!r} cannot be used here: {str(error).splitlines()[0]}.') from error
    return device


@contextmanager
def quiet() -> Generator[None]:
    """Leave out what mmseg warns of when it builds a loss, and what is logged of weights that fit."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)


def _imports(found: FoundModel) -> str:
    """Return, as the end of a sentence, that a checkpoint's config would import modules."""
    custom = found.cfg.get('custom_imports')
    modules = custom.get('imports') if isinstance(custom, dict) else None
    modules = [modules] if isinstance(modules, str) else modules
    if not found.is_foreign or not isinstance(modules, Sequence):
        return ''
    others = [printable(str(name)) for name in modules if str(name).partition('.')[0] != 'convnext_dense']
    if not others:
        return ''
    return (
        f'; its config imports {shorten(others)}, and code is not run because a checkpoint names it: give the work '
        'directory or the config, or import it before'
    )
