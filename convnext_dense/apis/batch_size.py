"""Finds the largest batch that fits the GPU."""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import all_reduce, init_dist, is_distributed
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from convnext_dense.checks.training.length import FEW_STEPS_AN_EPOCH
from convnext_dense.config.machine import count_processes
from convnext_dense.config.schedule.run_length import build_train_loader
from convnext_dense.config.tree import bare_type
from convnext_dense.errors import RunError, UsageError, describe
from convnext_dense.training.memory import batch_probe
from convnext_dense.training.memory.worst_batch import WorstSample, worst_sample
from convnext_dense.wording import counted


def find_batch_size(cfg: Config) -> int:
    """Return the largest batch size with which a config trains on this process's GPU, and say it.

    Real steps are made with a throwaway model, the optimizer's state, the largest image of the pipeline and the most
    objects of the data. A tenth of the free memory stays free, and an epoch keeps more than `FEW_STEPS_AN_EPOCH` steps.
    With several processes, the smallest result counts. Without a GPU it is the config's.

    Args:
        cfg: As it would be trained, with its dataset.

    Raises:
        UsageError: If the data or the model cannot be built, or its batches are of another kind.
        RunError: If not even one image fits.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco', batch_size=find_batch_size)  # doctest: +SKIP
    """
    size = (cfg.get('train_dataloader') or {}).get('batch_size') or 1
    device = batch_probe.probed_device()
    if device is None:
        print_log(f"batch_size: there is no GPU, so auto is the config's, {size}.", logger='current')
        return size
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    processes = count_processes(cfg.launcher)
    with DefaultScope.overwrite_default_scope(cfg.default_scope), batch_probe.without_traces(device):
        sample, images = _worst_sample(cfg)
        limit = max(images // processes // (FEW_STEPS_AN_EPOCH + 1), size)
        found = _probe(cfg, sample, device, size, limit, processes)
    if processes > 1:
        found = _smallest(found, cfg)
    height, width = sample.inputs.shape[-2:]
    worst = f'images of {height}x{width} with {counted(sample.objects, "object")}'
    if not found:
        raise RunError(
            f'batch_size: not even one of the largest {worst} fits into the memory of {device}. Take smaller images '
            '(scale in the pipeline), activation checkpointing (model.backbone.with_cp=True), or a smaller model.'
        )
    why = f'leave fewer than {FEW_STEPS_AN_EPOCH + 1} steps an epoch' if found == limit else 'not fit'
    print_log(f'batch_size: auto is {found}, for {worst}; more would {why}.', logger='current')
    return found


def _worst_sample(cfg: Config) -> tuple[WorstSample, int]:
    """Return what a batch is made of, and how many images an epoch has."""
    loader = build_train_loader(cfg)
    dataset: Any = loader.dataset
    sampler = getattr(loader.batch_sampler, 'sampler', None)
    groups = 'AspectRatio' in bare_type((cfg.train_dataloader.get('batch_sampler') or {}).get('type'))
    try:
        return worst_sample(dataset, groups), len(sampler or dataset)
    except Exception as error:
        raise UsageError(
            f'batch_size: auto cannot draw samples from train_dataloader.dataset ({describe(error)}); give a number.'
        ) from error


def _probe(cfg: Config, sample: WorstSample, device: torch.device, start: int, limit: int, processes: int) -> int:
    averages = sum(bare_type(hook.get('type')) == 'EMAHook' for hook in cfg.get('custom_hooks') or [])
    try:
        with batch_probe.limited_memory(device):
            probe = batch_probe.BatchProbe(cfg, sample, device, averages + (processes > 1))
            return batch_probe.largest_that_fits(probe.fits, start, limit)
    except torch.OutOfMemoryError:
        return 0
    except Exception as error:
        raise UsageError(
            f'batch_size: auto cannot make a step of training ({describe(error)}); give a number.'
        ) from error


def _smallest(found: int, cfg: Config) -> int:
    """Return the smallest number of all processes."""
    if not is_distributed():
        init_dist(cfg.launcher, **(cfg.get('env_cfg') or {}).get('dist_cfg', {}))
    number = torch.tensor(found)
    all_reduce(number, 'min')
    return int(number)
