"""Looks through folders, and reads in names which split they are."""

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

SPLITS = {
    'train': ('train', 'training', 'tr'),
    'val': ('val', 'valid', 'validation', 'dev', 'eval'),
    'test': ('test', 'testing'),
}
# How deep a folder is looked into. A mistyped place may be a whole disk.
DEPTH = 3
MOST_FOLDERS = 2000


def folders(root: Path) -> Iterator[Path]:
    """Yield a folder and those in it, in the order of their names.

    Example:
        >>> next(folders(Path('.')))
        PosixPath('.')
    """
    for folder, subfolders, _ in islice(os.walk(root, followlinks=True), MOST_FOLDERS):
        subfolders.sort()
        if len(Path(folder).relative_to(root).parts) >= DEPTH:
            subfolders.clear()
        yield Path(folder)


def split_name(path: Path, root: Path) -> str:
    """Return the split that a path's last part says, or else the one before; '' if none does.

    Args:
        path: A file or folder in `root`.
        root: Where the names begin to count.

    Example:
        >>> split_name(Path('data/annotations/instances_val2017.json'), Path('data'))
        'val'
    """
    for part in reversed(path.relative_to(root).parts):
        words = set(re.findall('[a-z]+', part.lower()))
        for name, synonyms in SPLITS.items():
            if words & set(synonyms):
                return name
    return ''
