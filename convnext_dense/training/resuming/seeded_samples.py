"""Makes each sample follow from the seed and the sample's place in the run alone.

Whichever worker loads a sample, and whatever was loaded before it, its augmentation is the same. So a run does not
depend on how many workers it has, and a resumed run sees the samples of one that was never stopped.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from torch.utils.data import Dataset, Sampler, get_worker_info

from convnext_dense.training.resuming.rng import kept_generators, seed_generators


class SeededIndex(NamedTuple):
    """A sample of a dataset, and the sample's place in the run.

    Args:
        index: What the dataset is indexed by.
        epoch: How many epochs come before it.
        number: How many samples all processes load before it in the epoch.
    """

    index: Any
    epoch: int
    number: int


class SeededDataset(Dataset):
    """A dataset that seeds the random generators for each sample. All else is the dataset's own, read or set.

    Args:
        dataset: The dataset.
        seed: The run's.

    Example:
        >>> dataset = SeededDataset([10, 20], seed=0)
        >>> dataset[SeededIndex(1, epoch=0, number=5)], len(dataset)
        (20, 2)
    """

    _dataset: Any
    _seed: int

    def __init__(self, dataset: Dataset, seed: int) -> None:
        vars(self).update(_dataset=dataset, _seed=seed)

    # What asks for the dataset's class finds that of the wrapped one.
    @property
    def __class__(self) -> type:
        """The dataset's class."""
        return type(vars(self)['_dataset'])

    def __reduce__(self) -> tuple:
        return SeededDataset, (self._dataset, self._seed)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - a dataset's own
        """Return a sample, seeded if its place is known."""
        if not isinstance(index, SeededIndex):
            return self._dataset[index]
        if get_worker_info() is not None:
            return self._load(index)
        with kept_generators():
            # The model draws from the same generators.
            return self._load(index)

    def __getitems__(self, indices: list) -> list:
        """Return samples."""
        return [self[index] for index in indices]

    def _load(self, index: SeededIndex) -> Any:  # noqa: ANN401 - a dataset's own
        seed_generators(self._seed, index.epoch, index.number)
        return self._dataset[index.index]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a dataset's own
        return getattr(vars(self)['_dataset'], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._dataset, name, value)


class SeededBatches(Sampler):
    """Yields another batch sampler's batches as `SeededIndex`es, from any batch on. All else is the other's own.

    Batches that are skipped are drawn, and their samples are not loaded.

    Args:
        batch_sampler: The other, whose samples are those of one process.
        rank: The number of the process.
        world_size: How many processes there are.

    Example:
        >>> from torch.utils.data import BatchSampler
        >>> batches = SeededBatches(BatchSampler(range(4), batch_size=2, drop_last=False))
        >>> batches.start = 1
        >>> [[sample.index for sample in batch] for batch in batches]
        [[2, 3]]
        >>> batches.epoch, batches.start
        (1, 0)
    """

    def __init__(self, batch_sampler: Iterable[list], rank: int = 0, world_size: int = 1) -> None:
        self.batch_sampler = batch_sampler
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        # How many batches to skip when it is iterated next.
        self.start = 0

    def __len__(self) -> int:
        return len(self.batch_sampler)  # pyrefly: ignore[bad-argument-type]

    def __iter__(self) -> Iterator[list[SeededIndex]]:
        start, self.start = self.start, 0
        passed, is_empty = 0, False
        while not is_empty:
            epoch, loaded, is_empty = self.epoch, 0, True
            for batch in self.batch_sampler:
                is_empty = False
                if passed >= start:
                    yield [
                        SeededIndex(index, epoch, (loaded + i) * self.world_size + self.rank)
                        for i, index in enumerate(batch)
                    ]
                passed += 1
                loaded += len(batch)
            self.epoch = epoch + 1
            if passed >= start:
                return
            set_epoch(self, self.epoch)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a batch sampler's own
        return getattr(vars(self)['batch_sampler'], name)


def set_epoch(batches: Sampler, epoch: int) -> None:
    """Tell the sampler that a batch sampler draws which epoch it is, if it wants to know.

    Args:
        batches: The batch sampler.
        epoch: How many epochs come before it.

    Example:
        >>> from torch.utils.data import BatchSampler
        >>> set_epoch(BatchSampler(range(4), batch_size=2, drop_last=False), 1)
    """
    sampler = getattr(batches, 'sampler', None)
    if hasattr(sampler, 'set_epoch'):
        sampler.set_epoch(epoch)
