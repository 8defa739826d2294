"""How long a run is, in epochs and in steps, and how many steps an epoch has."""

import math
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from fractions import Fraction
from io import StringIO
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from convnext_dense.config.tree import bare_type
from convnext_dense.datasets.cache.built_datasets import remembered_datasets
from convnext_dense.errors import UsageError, describe
from convnext_dense.wording import counted

EPOCH_LOOP, ITER_LOOP = 'EpochBasedTrainLoop', 'IterBasedTrainLoop'
# How an error begins if an epoch has no step.
NO_STEP = 'batch_size (train_dataloader.batch_size):'


@dataclass(frozen=True)
class RunLength:
    """The length of a run.

    Args:
        count: How many epochs or steps.
        by_epoch: Whether `count` is epochs.
        steps_an_epoch: Returns how many steps an epoch has. It is called when that is needed, as it reads the dataset.

    Example:
        >>> length = RunLength(12, True, lambda: 50)
        >>> length.steps, length.share_of(300, by_epoch=False), length.share_of(3, by_epoch=True)
        (600, Fraction(1, 2), Fraction(1, 4))
    """

    count: int
    by_epoch: bool
    steps_an_epoch: Callable[[], int]

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return self.count * self.steps_an_epoch() if self.by_epoch else self.count

    def counted(self, by_epoch: bool) -> Fraction:
        """Return its length in epochs, which need not be whole, or in steps."""
        if by_epoch == self.by_epoch:
            return Fraction(self.count)
        return Fraction(self.steps) if self.by_epoch else Fraction(self.count, self.steps_an_epoch())

    def share_of(self, position: float, by_epoch: bool) -> Fraction:
        """Return which share of the run is over at an epoch or a step; it may be above 1."""
        return Fraction(position) / self.counted(by_epoch)


def counts_epochs(train_cfg: dict) -> bool | None:
    """Return whether a run counts epochs; None if its loop is not one of mmengine's.

    Args:
        train_cfg: A config's.

    Example:
        >>> counts_epochs(dict(type='IterBasedTrainLoop', max_iters=10)), counts_epochs(dict(max_epochs=3))
        (False, True)
    """
    kind = bare_type(train_cfg.get('type'))
    return {'': train_cfg.get('by_epoch', True), EPOCH_LOOP: True, ITER_LOOP: False}.get(kind)


def length_of(train_cfg: dict) -> int | None:
    """Return how many epochs or steps a run has; None if its loop is not one of mmengine's, or it does not say.

    Args:
        train_cfg: A config's.

    Example:
        >>> length_of(dict(type='IterBasedTrainLoop', max_iters=10))
        10
    """
    by_epoch = counts_epochs(train_cfg)
    return None if by_epoch is None else train_cfg.get('max_epochs' if by_epoch else 'max_iters')


@dataclass(frozen=True)
class Epoch:
    """What a run reads in an epoch.

    Args:
        images: The dataset's length.
        steps: The steps of each process.
    """

    images: int
    steps: int


def measure_epoch(cfg: Config, processes: int = 1) -> Epoch:
    """Return what an epoch of a config's training is. It reads the dataset's annotations.

    Args:
        cfg: The config.
        processes: How many processes share an epoch.

    Raises:
        UsageError: If the dataloader cannot be built, or an epoch has no step.
    """
    loader = build_train_loader(cfg)
    dataset: Any = loader.dataset
    epoch = Epoch(len(dataset), _steps(loader, processes))
    if not epoch.steps:
        raise UsageError(
            f'{NO_STEP} the dataset has {counted(epoch.images, "sample")}, too few for one batch of '
            f'{cfg.train_dataloader.get("batch_size")} a process in {processes}, and drop_last leaves out smaller ones.'
        )
    return epoch


def build_train_loader(cfg: Config) -> DataLoader:
    """Return the dataloader of a config's training, without workers.

    Args:
        cfg: The config.

    Raises:
        UsageError: If it cannot be built.
    """
    loader_cfg = dict(cfg.get('train_dataloader') or {}, num_workers=0, persistent_workers=False)
    loader_cfg.pop('prefetch_factor', None)
    # It would otherwise be made in the block, and write into what is thrown away from then on.
    MMLogger.get_current_instance()
    try:
        # pycocotools prints what it does.
        with (
            DefaultScope.overwrite_default_scope(cfg.default_scope),
            remembered_datasets(),
            redirect_stdout(StringIO()),
        ):
            # Without a seed, samplers ask the other processes for one, which may not be here.
            return Runner.build_dataloader(loader_cfg, seed=0)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            f'train_dataloader: the steps of an epoch cannot be counted, since it cannot be built: {describe(error)}.'
        ) from error


def _steps(loader: DataLoader, processes: int) -> int:
    batches = loader.batch_sampler
    sampler = getattr(batches, 'sampler', None)
    if processes == 1 or sampler is None:
        return len(loader) // processes
    # As mmengine's samplers share an epoch, once the processes have met.
    samples = len(sampler) if is_distributed() else math.ceil(len(sampler) / processes)
    is_cut = getattr(batches, 'drop_last', False)
    return samples // batches.batch_size if is_cut else math.ceil(samples / batches.batch_size)
