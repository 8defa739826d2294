"""Replaces samples whose files cannot be read, or cannot be right, and notes them with the batch."""

from collections.abc import Callable, Sized
from functools import partial
from typing import cast

from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS
from torch.utils.data import DataLoader, Dataset

from convnext_dense.errors import SampleError, UsageError

# The key of a batch under which its notes are: pairs of an image's file and the sentence on it.
NOTES = 'unreadable_files'
# A dataset of which so many samples in a row cannot be read is not there any more.
MAX_IN_A_ROW = 50

# What this process, a worker or the one that trains, has replaced since its last batch.
_notes: list[tuple[str, str]] = []


class ReplaceUnreadable(BaseTransform):
    """Runs a transform that loads files. Where one cannot be right, it notes that and returns None.

    mmengine's datasets then take another sample, drawn from numpy's generator, so that it is the same one in a run that
    was resumed.

    Args:
        loader: The transform's config.

    Raises:
        UsageError: If that happens for 50 samples in a row.

    Example:
        >>> from convnext_dense.datasets.images.checked_image import CheckedImage
        >>> load = ReplaceUnreadable(dict(type=CheckedImage, loader=dict(type='LoadImageFromFile')))
        >>> load(dict(img_path='no-such.jpg')) is None
        True
        >>> take_notes()
        [('no-such.jpg', 'no-such.jpg: there is no such file.')]
    """

    def __init__(self, loader: dict) -> None:
        self.loader = TRANSFORMS.build(loader)
        self._in_a_row = 0

    def transform(self, results: dict) -> dict | None:
        """Load; the result is the loader's, or None."""
        file = str(results.get('img_path'))
        try:
            loaded = self.loader(results)
        except SampleError as error:
            _notes.append((file, str(error)))
            self._in_a_row += 1
            if self._in_a_row < MAX_IN_A_ROW:
                return None
            raise UsageError(
                f'train_dataloader: {MAX_IN_A_ROW} samples in a row cannot be read; the last: {error}'
            ) from error
        self._in_a_row = 0
        return loaded


def note_with_batches(loader: DataLoader) -> None:
    """Make a dataloader put the notes on what was replaced into its batches.

    Args:
        loader: A dataloader that has not been read from yet, which is changed.

    Example:
        >>> loader = DataLoader([1, 2, 3])
        >>> note_with_batches(loader)
        >>> len(list(loader))
        3
    """
    # What a run that has failed left in this process.
    take_notes()
    loader.collate_fn = partial(_collate, loader.collate_fn)


def take_notes() -> list[tuple[str, str]]:
    """Return what this process has replaced since the last call: images' files, and the sentence on each."""
    taken = list(_notes)
    _notes.clear()
    return taken


def count_samples(dataset: Dataset) -> int:
    """Return how many samples a dataset has, each counted once however often wrappers repeat it.

    Args:
        dataset: The dataset, or a wrapper of one or several.

    Example:
        >>> from torch.utils.data import ConcatDataset
        >>> count_samples(ConcatDataset([[1, 2], [3]]))
        3
    """
    if parts := getattr(dataset, 'datasets', None):
        return sum(map(count_samples, parts))
    inner = getattr(dataset, 'dataset', None)
    return len(cast(Sized, dataset)) if inner is None else count_samples(inner)


def _collate(own: Callable[[list], object], samples: list) -> object:
    batch = own(samples)
    if notes := take_notes():
        if not isinstance(batch, dict):
            # There is no place for a note, and a replacement that nobody hears of is none.
            raise UsageError(notes[0][1])
        batch[NOTES] = notes
    return batch
