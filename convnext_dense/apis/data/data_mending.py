"""Writes a cleaned copy of a dataset."""

from convnext_dense.apis.data.data_check import CheckedData, check_data
from convnext_dense.datasets.checker.image_facts import Progress
from convnext_dense.datasets.checker.splits import LabelSplit
from convnext_dense.datasets.mending.changes import check_out
from convnext_dense.datasets.mending.mend_labels import mend_labels
from convnext_dense.datasets.mending.mend_objects import mend_objects, refuse_guesses

CHANGES = 'changes.txt'


def mend_data(
    checked: CheckedData, out: str, workers: int | None = None, progress: Progress | None = None
) -> tuple[list[str], CheckedData]:
    """Write a copy of a dataset without what can be mended without guessing, and check it.

    Annotation files and label maps are new, images are links. What cannot be used is left out.

    Args:
        checked: As `check_data` returns it, with its images read.
        out: A new folder, outside of the dataset.
        workers: As in `check_data`.
        progress: Likewise.

    Returns:
        A sentence for each kind of change, and the copy, checked.

    Raises:
        UsageError: If an error cannot be mended without guessing, or the folder is there already.

    Example:
        >>> checked = check_data('data/nuclei', 'instances')  # doctest: +SKIP
        >>> changes, copy = mend_data(checked, 'data/nuclei-clean')  # doctest: +SKIP
    """
    refuse_guesses(checked.report)
    folder = check_out(out, checked.report.place)
    if checked.objects:
        changes = mend_objects(checked.report, checked.objects, folder)
        needs_masks = any(part.split.needs_masks for part in checked.objects)
        task = 'instances' if needs_masks else 'boxes'
    else:
        splits = [split for split in checked.splits if isinstance(split, LabelSplit)]
        changes = mend_labels(checked.report, splits, folder)
        task = 'semantic'
    sentences = list(changes.sentences())
    (folder / CHANGES).write_text(''.join(f'{sentence}\n' for sentence in sentences), encoding='utf-8')
    return sentences, check_data(out, task, None, True, workers, progress)
