"""Reads files with the name of a class in each line."""

from pathlib import Path

from convnext_dense.errors import UsageError
from convnext_dense.regular_files import read_text

NAME_FILES = ('classes.txt', 'labels.txt', 'class_names.txt', 'label_names.txt', 'names.txt', 'obj.names')


def names_file(root: Path) -> Path | None:
    """Return the file of class names in a folder, or None.

    Example:
        >>> names_file(Path('docs')) is None
        True
    """
    files = [root / name for name in NAME_FILES]
    return next((path for path in [*files, *sorted(root.glob('*.names'))] if path.is_file()), None)


def read_names(file: Path) -> tuple[str, ...]:
    """Return the names in a file, a line each.

    Raises:
        UsageError: If the file cannot be read, there is no name, or one is there twice.
    """
    try:
        lines = read_text(file).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'data: {file} cannot be read: {error}.') from error
    names = tuple(line.strip() for line in lines if line.strip())
    if len(set(names)) < len(names) or not names:
        raise UsageError(f'data: {file} must have a name in each line, and none twice.')
    return names
