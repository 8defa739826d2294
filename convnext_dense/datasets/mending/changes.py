"""What a copy of a dataset has otherwise than the dataset, and the folder it is written to."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from convnext_dense.datasets.checker.findings import DataReport
from convnext_dense.errors import UsageError
from convnext_dense.wording import counted

# How many files or ids a sentence shows.
EXAMPLES = 3


class Changes:
    """What was changed, by the split and the reason.

    Example:
        >>> changes = Changes()
        >>> changes.add('train', 'deleted', 'annotation', 'box-outside', 7)
        >>> list(changes.sentences())
        ['train: deleted 1 annotation with box-outside: 7']
    """

    def __init__(self) -> None:
        self.items: dict[tuple[str, str, str, str], list] = {}

    def add(self, split: str, verb: str, noun: str, kind: str, item: object) -> None:
        """Note a change of an entry or a file.

        Args:
            split: The split.
            verb: What was done.
            noun: What it was done to, in the singular.
            kind: The kind of fault that it had.
            item: The entry's id, or the file.
        """
        self.items.setdefault((split, verb, noun, kind), []).append(item)

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for each kind of change."""
        for (split, verb, noun, kind), items in self.items.items():
            shown = ', '.join(map(str, items[:EXAMPLES])) + (', ...' if len(items) > EXAMPLES else '')
            where = f'{split}: ' if split else ''
            yield f'{where}{verb} {counted(len(items), noun)} with {kind}: {shown}'


def note_unread(report: DataReport, changes: Changes) -> None:
    """Note the entries that could not be read, and so are not in a copy.

    Args:
        report: What was found.
        changes: Where to note it.

    Example:
        >>> from convnext_dense.datasets.checker.findings import DataFinding
        >>> changes = Changes()
        >>> note_unread(DataReport('pets', {}, [DataFinding('conversion', 'a.txt', 'line 2: no class 3.')]), changes)
        >>> list(changes.sentences())
        ['left out 1 entry with conversion: a.txt: line 2: no class 3.']
    """
    for finding in report.findings:
        if finding.kind == 'conversion':
            changes.add(finding.split, 'left out', 'entry', finding.kind, finding.sentence)


def check_out(out: str, place: str) -> Path:
    """Return the folder of a copy, which must not be there yet, nor in the dataset.

    Args:
        out: The folder.
        place: The dataset.

    Raises:
        UsageError: If it is there, in the dataset's folder, or cannot be made.

    Example:
        >>> check_out('.', 'data')
        Traceback (most recent call last):
            ...
        convnext_dense.errors.UsageError: fix: . is there already; name a new folder.
    """
    folder = Path(out)
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f'fix: {out} is there already; name a new folder.')
    root = Path(place).resolve()
    if root.is_dir() and folder.resolve().is_relative_to(root):
        raise UsageError(f'fix: {out} is in {place}, which stays as it is; name a folder elsewhere.')
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f'fix: {out} cannot be made: {error.strerror}.') from error
    return folder


def link(source: str, target: Path) -> None:
    """Link to a file, or copy it where the file system has no links. What is there stays.

    Args:
        source: The file.
        target: The link.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        return
    try:
        target.symlink_to(Path(source).resolve())
    except OSError:
        shutil.copyfile(source, target)
