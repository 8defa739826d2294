"""Says what helps when a device's memory has run out."""

import traceback
from types import FrameType

from mmengine.config import Config
from mmengine.dist import get_world_size
from torch import Tensor

from convnext_dense.analysis.rates import MIXED_PRECISION
from convnext_dense.config.tree import bare_type, value_at

LOOPS = ('mmengine.runner.loops', 'convnext_dense.training.resuming.loops')


def memory_sentence(error: BaseException, cfg: Config) -> str:
    """Return when memory ran out, and what to change.

    Args:
        error: What PyTorch raised.
        cfg: The config of the run.

    Example:
        >>> memory_sentence(MemoryError(), Config(dict(model=dict())))  # doctest: +ELLIPSIS
        'out of memory. Take smaller images (scale in the pipeline), ...'
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    loops = [frame.f_locals['self'] for frame in frames if is_loop(frame)]
    batches = [frame.f_locals['data_batch'] for frame in frames if 'data_batch' in frame.f_locals]
    is_training = bool(loops) and hasattr(loops[-1], '_iter')
    if loops and not is_training:
        is_test = 'Test' in type(loops[-1]).__name__
        split, stage = ('test', 'testing') if is_test else ('val', 'validation')
        return (
            f'out of memory in {stage}{_images(batches)}. Take a smaller {split}_dataloader.batch_size, or smaller '
            'images (scale in the pipeline).'
        )
    place = f' at step {loops[-1]._iter + 1}{_images(batches)}' if loops else ''
    several = f' in one of {get_world_size()} processes' if get_world_size() > 1 else ''
    *first, last = _remedies(cfg, len(_inputs(batches)))
    return f'out of memory{place}{several}. Take {", ".join(first)}, or {last}.'


def is_loop(frame: FrameType) -> bool:
    """Return whether a frame is that of a running loop of training, validation or testing.

    Args:
        frame: A frame of a traceback. Its `self` is the loop.
    """
    return frame.f_code.co_name == 'run' and frame.f_globals.get('__name__') in LOOPS


def _inputs(batches: list) -> list[Tensor]:
    inputs = batches[-1].get('inputs') if batches and isinstance(batches[-1], dict) else None
    return list(inputs) if isinstance(inputs, list | tuple | Tensor) else []


def _images(batches: list) -> str:
    inputs = [image for image in _inputs(batches) if isinstance(image, Tensor) and image.dim() > 1]
    if not inputs:
        return ''
    height, width = (max(image.shape[axis] for image in inputs) for axis in (-2, -1))
    return f', with {len(inputs)} {"image" if len(inputs) == 1 else "images"} of up to {height}x{width}'


def _remedies(cfg: Config, size: int) -> list[str]:
    wrapper = cfg.get('optim_wrapper') or {}
    remedies = ['smaller images (scale in the pipeline)']
    if not value_at(cfg, 'model.backbone.with_cp'):
        remedies.append('activation checkpointing (model.backbone.with_cp=True)')
    if bare_type(wrapper.get('type')) not in MIXED_PRECISION:
        remedies.append('mixed precision (amp)')
    if value_at(cfg, 'model.train_cfg.rpn_proposal'):
        remedies.append('fewer proposals (model.train_cfg.rpn_proposal.max_per_img)')
    batch_size = value_at(cfg, 'train_dataloader.batch_size') or size
    if batch_size > 1:
        count = (wrapper.get('accumulative_counts') or 1) * 2
        remedies.append(
            f'train_dataloader.batch_size={batch_size // 2} with optim_wrapper.accumulative_counts={count}, which '
            'keeps the images of an update'
        )
    return remedies if len(remedies) > 1 else [*remedies, 'a smaller model']
