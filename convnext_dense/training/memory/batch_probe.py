"""Finds out how many images of a batch fit into a device's memory, with a model that is thrown away."""

import gc
import os
import random
from collections.abc import Callable, Generator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.registry import MODELS
from torch import nn

from convnext_dense.training.memory.worst_batch import WorstSample

# Of the memory that is free; the rest is for what differs from step to step, such as cuDNN's workspaces.
USED_SHARE = 0.9
PROBE = 'batch_probe'


def probed_device() -> torch.device | None:
    """Return the GPU of this process; None if there is none, and so nothing to find out."""
    return torch.device('cuda', int(os.environ.get('LOCAL_RANK') or 0)) if torch.cuda.is_available() else None


@contextmanager
def limited_memory(device: torch.device) -> Generator[None]:
    """Make PyTorch run out of memory at `USED_SHARE` of what is free on a GPU.

    Args:
        device: The device; others than GPUs are not limited.
    """
    if device.type != 'cuda':
        yield
        return
    free, total = torch.cuda.mem_get_info(device)
    limit = USED_SHARE * (free + torch.cuda.memory_reserved(device)) / total
    torch.cuda.set_per_process_memory_fraction(min(limit, 1.0), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        _free_memory()


def largest_that_fits(fits: Callable[[int], bool], start: int, limit: int) -> int:
    """Return the largest number up to a limit that fits; 0 if none does.

    Args:
        fits: Returns whether a number fits. What is larger than one that does not fit is not asked for.
        start: The number to begin with.
        limit: The largest number.

    Example:
        >>> largest_that_fits(lambda size: size <= 11, start=2, limit=100)
        11
    """
    good, bad = 0, limit + 1
    size = min(start, limit)
    while bad - good > 1:
        if fits(size):
            good = size
        else:
            bad = size
        size = min(size * 2, limit) if bad > limit and good < limit else (good + bad) // 2
    return good


class BatchProbe:
    """Takes real steps on a device, with a throwaway model and the optimizer's state.

    Args:
        cfg: The config, as it would be trained.
        sample: What a batch consists of.
        device: Where.
        copies: How many further copies of the weights a run has: averages, or gradients that are sent to other GPUs.
    """

    def __init__(self, cfg: Config, sample: WorstSample, device: torch.device, copies: int = 0) -> None:
        self.sample = sample
        model = MODELS.build(cfg.model)
        self.model: nn.Module = revert_sync_batchnorm(model).to(device).train()
        self.optim_wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
        self._copies = [torch.empty_like(weight) for _ in range(copies) for weight in self.model.parameters()]
        self._has_state = False
        for augment in getattr(self.model.data_preprocessor, 'batch_augments', None) or []:
            _enlarge(augment, sample)

    def fits(self, size: int) -> bool:
        """Return whether a batch fits.

        Args:
            size: How many images.
        """
        try:
            self._step(size)
            return True
        except torch.OutOfMemoryError:
            return False
        finally:
            self.optim_wrapper.zero_grad()
            _free_memory()

    def _step(self, size: int) -> None:
        if not self._has_state:
            self._make_state()
        self.model.train_step(self.sample.batch(size), optim_wrapper=self.optim_wrapper)

    def _make_state(self) -> None:
        """Make the optimizer allocate its state by a step on one image, which a loss scaler would skip."""
        wrappers = self.optim_wrapper
        wrappers = list(wrappers.values()) if isinstance(wrappers, OptimWrapperDict) else [wrappers]
        for weight in self.model.parameters():
            if weight.requires_grad:
                weight.grad = torch.zeros_like(weight)
        for wrapper in wrappers:
            assert isinstance(wrapper, OptimWrapper)
            wrapper.optimizer.step()
        self._has_state = True


def _enlarge(augment: nn.Module, sample: WorstSample) -> None:
    """Set mmdet's BatchSyncRandomResize, or ours, to its largest size."""
    largest = getattr(augment, '_random_size_range', None)
    if largest:
        height, width = sample.inputs.shape[-2:]
        units = largest[1]
        sides = [units, int(width / height * units)]
        vars(augment)['_random_size_range'] = (units, units)
        vars(augment)['_input_size'] = tuple(augment._size_divisor * side for side in sides)


def _free_memory() -> None:
    gc.collect()
    torch.cuda.empty_cache()


@contextmanager
def without_traces(device: torch.device) -> Generator[None]:
    """Keep the random generators as they are, and give models that look at a run's progress one that begins.

    Args:
        device: The device whose generator is kept, too.
    """
    states = random.getstate(), np.random.get_state()
    hub = MessageHub.get_instance(PROBE)
    hub.update_info_dict(dict(iter=0, epoch=0, max_iters=1, max_epochs=1))
    try:
        with torch.random.fork_rng([device] if device.type == 'cuda' else []):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        MessageHub._instance_dict.pop(PROBE)
        _free_memory()
