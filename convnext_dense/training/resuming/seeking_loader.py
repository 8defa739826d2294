"""A dataloader that can begin at any batch."""

from collections.abc import Iterator

import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_dist_info
from torch.utils.data import DataLoader, IterableDataset

from convnext_dense.training.resuming.seeded_samples import SeededBatches, SeededDataset, set_epoch


class SeekingLoader(DataLoader):
    """A dataloader that can begin at any batch. Its workers start with the first batch that is asked for.

    `make_seeking` makes one of a dataloader.
    """

    batch_sampler: SeededBatches  # pyrefly: ignore[bad-override]

    def __iter__(self) -> Iterator:  # pyrefly: ignore[bad-override]
        yield from super().__iter__()

    def seek_in_epoch(self, epoch: int, batch: int) -> None:
        """Begin at a batch of an epoch when it is iterated next.

        Args:
            epoch: How many epochs come before it.
            batch: How many batches of the epoch to skip.
        """
        self.batch_sampler.epoch = epoch
        self.batch_sampler.start = batch

    def seek(self, batch: int) -> None:
        """Begin at a batch of a run that goes through the data over and over, when it is iterated next.

        Args:
            batch: How many batches of the run to skip.
        """
        epoch = 0
        if isinstance(self.batch_sampler.sampler, DefaultSampler):
            # Others may have no end, or another number of batches in each epoch: they are drawn from the first on.
            epoch, batch = divmod(batch, max(len(self), 1))
        set_epoch(self.batch_sampler, epoch)
        self.seek_in_epoch(epoch, batch)

    def over_and_over(self) -> Iterator:
        """Yield the batches of one epoch after the other, without end."""
        while True:
            yield from self
            set_epoch(self.batch_sampler, self.batch_sampler.epoch)


def make_seeking(loader: DataLoader, seed: int) -> None:
    """Make a dataloader a `SeekingLoader` whose samples follow from a seed, if its samples have indices.

    Args:
        loader: A dataloader that has not been read from yet, which is changed.
        seed: The run's.

    Example:
        >>> loader = DataLoader([1, 2, 3, 4, 5], batch_size=2)
        >>> make_seeking(loader, seed=0)
        >>> loader.seek(1)
        >>> [batch.tolist() for batch in loader]
        [[3, 4], [5]]
    """
    if isinstance(loader.dataset, IterableDataset) or loader.batch_sampler is None:
        return
    loader.__class__ = SeekingLoader
    # PyTorch forbids to set these once a loader is built; nothing is read from it before this.
    vars(loader).update(
        batch_sampler=SeededBatches(loader.batch_sampler, *get_dist_info()),
        dataset=SeededDataset(loader.dataset, seed),
        # Each iterator draws a seed for its workers; by default from the generator that the model draws from.
        generator=torch.Generator().manual_seed(seed),
    )
