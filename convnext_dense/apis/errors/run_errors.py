"""Makes one sentence of what a wrong config raises while it is built, and in its first step: which key, and why."""

import errno
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from torch import nn

from convnext_dense.apis.errors.memory_errors import is_loop, memory_sentence
from convnext_dense.apis.errors.worker_errors import worker_sentence
from convnext_dense.build_errors import build_sentence, is_ours, message_of
from convnext_dense.errors import RunError, UsageError

# mmengine's functions that build from a config, and what they read.
BUILDERS = {
    'setup_env': 'env_cfg',
    'set_randomness': 'randomness',
    'build_logger': 'log_level',
    'build_visualizer': 'visualizer',
    'build_log_processor': 'log_processor',
    'build_train_loop': 'train_cfg',
    'build_val_loop': 'val_cfg',
    'build_test_loop': 'test_cfg',
    'build_optim_wrapper': 'optim_wrapper',
    'build_param_scheduler': 'param_scheduler',
    'build_evaluator': '{split}_evaluator',
    'build_dataloader': '{split}_dataloader',
    'build_model': 'model',
    'wrap_model': 'model_wrapper_cfg',
    'scale_lr': 'auto_scale_lr',
    'register_default_hooks': 'default_hooks',
    'register_custom_hooks': 'custom_hooks',
    '_init_model_weights': 'model',
    'load_or_resume': 'load_from',
}
TRACEBACK = 'traceback.txt'
# A disk that is full, a quota or a limit that is used up, and a disk that has become read-only.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def errors_as_sentences(cfg: Config) -> Generator[None]:
    """Raise UsageError in place of what a wrong config makes mmengine, mmdet or mmseg raise.

    That is anything raised while components are built, before the first batch is done, or by a metric. What else is
    raised later is a fault of the program and passes, except that a device's memory ran out, a disk is full or a worker
    was killed: those are RunErrors. The traceback goes to ``traceback.txt`` in the work dir.

    Args:
        cfg: The config that is built and run in the block.

    Example:
        >>> from mmengine.registry import MODELS
        >>> with errors_as_sentences(Config(dict(model=dict(type='Nothing')))):
        ...     MODELS.build(dict(type='Nothing'))
        Traceback (most recent call last):
        convnext_dense.errors.UsageError: model: there is no 'Nothing' in the model registry.
    """
    try:
        yield
    except (UsageError, RunError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            place = error.filename or cfg.work_dir
            raise RunError(f'{place} cannot be written: {error.strerror}; what was saved before is kept.') from error
        if isinstance(error, torch.OutOfMemoryError):
            raise RunError(memory_sentence(error, cfg)) from error
        if isinstance(error, RuntimeError) and (lost := worker_sentence(error)):
            raise RunError(lost) from error
        sentence = _sentence(error, cfg)
        if sentence is None:
            raise
        raise UsageError(sentence) from error


def _sentence(error: Exception, cfg: Config) -> str | None:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    loops = [i for i, frame in enumerate(frames) if is_loop(frame)]
    place = _place(frames, frames[loops[-1]]) if loops else None
    if loops and not place:
        return None
    names = [frame.f_code.co_name for frame in frames]
    split = next((split for split in ('train', 'val', 'test') if f'build_{split}_loop' in names), 'test')
    key = next((BUILDERS[name] for name in reversed(names) if name in BUILDERS), 'the config').format(split=split)
    sentence = None if loops else build_sentence(error, cfg, key)
    sentence = sentence or f'{place or key}: {message_of(error)}'
    # A sentence of our own says all; another's may need its place in the code.
    is_clear = is_ours(error) or type(error).__name__ not in sentence
    return sentence if is_clear else f'{sentence}{_log(error, cfg)}'


def _place(frames: list[FrameType], run: FrameType) -> str | None:
    """Return where a loop is, if a wrong config shows itself there: in a metric, or at the first batch."""
    loop = run.f_locals['self']
    is_test = 'Test' in type(loop).__name__
    metrics = [own for frame in frames if isinstance(own := frame.f_locals.get('self'), BaseMetric)]
    if metrics:
        return f'{"test" if is_test else "val"}_evaluator ({type(metrics[-1]).__name__})'
    is_training = hasattr(loop, '_iter')
    if loop._iter if is_training else run.f_locals.get('idx'):
        return None
    stage = 'training' if is_training else 'testing' if is_test else 'validation'
    return f'at the first batch of {stage}{_module(frames)}'


def _module(frames: list[FrameType]) -> str:
    """Return which module of the model was running, as the middle of a sentence; '' if none was."""
    running = [frame.f_locals['self'] for frame in frames if isinstance(frame.f_locals.get('self'), nn.Module)]
    if not running:
        return ''
    name = next((name for name, module in running[0].named_modules() if module is running[-1]), '')
    return f', in {f"model.{name}" if name else "the model"} ({type(running[-1]).__name__})'


def _log(error: Exception, cfg: Config) -> str:
    """Write the traceback into the work dir; return where it is, as the end of a message."""
    file = Path(cfg.get('work_dir') or '.') / TRACEBACK
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = ''.join(traceback.format_exception(error))
        file.write_text(text, encoding='utf-8', errors='backslashreplace')
    except OSError:
        return ''
    return f' The traceback is in {file}.'
