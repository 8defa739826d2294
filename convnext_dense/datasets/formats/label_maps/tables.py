"""Reads tables of the classes of label maps: their names, and their colors or values."""

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

from convnext_dense.datasets.formats.class_names import names_file, read_names
from convnext_dense.datasets.formats.label_maps.values import MOST_VALUES
from convnext_dense.errors import UsageError
from convnext_dense.regular_files import read_text

TABLES = ('class_dict.csv', '_classes.csv', 'classes.csv', 'labels.csv', 'colors.csv', 'label_colors.csv')
# CVAT's exports, CamVid's own file, and ADE20K's.
TEXT_TABLES = ('labelmap.txt', 'label_colors.txt', 'objectInfo150.txt')
# Classes that are none.
IGNORED_NAMES = ('void', 'ignore', 'ignored', 'unlabeled', 'unlabelled', 'unknown')


@dataclass(frozen=True)
class ClassTable:
    """The classes of a dataset's label maps, in the order of their labels.

    Args:
        file: The file that says so.
        names: The names of all rows, those that are no classes included.
        colors: Their red, green and blue; empty if the file has none.
        values: Their values in the label maps; empty if these are their order.
    """

    file: Path
    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...] = field(default=())
    values: tuple[int, ...] = field(default=())


def find_table(root: Path) -> ClassTable | None:
    """Return the table of classes that is in a folder, or None.

    Args:
        root: A folder with one of ``class_dict.csv``, ``classes.csv`` (columns name, r, g, b), ``_classes.csv`` (Pixel
            Value, Class), ``labelmap.txt`` (``name:r,g,b::``), ``label_colors.txt`` (r g b name), ``objectInfo150.txt``
            or a file of names such as ``classes.txt``; or a folder in it that has.

    Raises:
        UsageError: If it cannot be read as such.

    Example:
        >>> find_table(Path('docs')) is None
        True
    """
    places = [root, *sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith('.'))]
    for place in places:
        for name in TABLES:
            if (place / name).is_file():
                return _csv(place / name)
        for name in TEXT_TABLES:
            if (place / name).is_file():
                return _text(place / name)
    file = names_file(root)
    return ClassTable(file, read_names(file)) if file else None


def _csv(file: Path) -> ClassTable:
    try:
        rows = list(csv.reader(_read(file).splitlines(), skipinitialspace=True))
    except csv.Error as error:
        raise UsageError(f'data: {file} is no table: {error}.') from error
    rows = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    header = [cell.lower() for cell in rows[0]] if rows else []
    columns = {
        'name': _column(header, ('name', 'class', 'class name', 'label')),
        'value': _column(header, ('pixel value', 'value', 'id', 'index')),
        **{color: _column(header, (color, color[0])) for color in ('red', 'green', 'blue')},
    }
    if columns['name'] is None:
        raise UsageError(f'data: {file} must have the columns name, r, g and b; got {", ".join(header)}.')
    has_colors = all(columns[color] is not None for color in ('red', 'green', 'blue'))
    try:
        names = tuple(row[columns['name']] for row in rows[1:])
        reds, greens, blues = (
            [int(row[columns[color]]) for row in rows[1:] if has_colors] for color in ('red', 'green', 'blue')
        )
        colors = tuple(zip(reds, greens, blues, strict=True))
        values = tuple(int(row[columns['value']]) for row in rows[1:] if columns['value'] is not None)
    except (IndexError, ValueError):
        raise UsageError(f'data: {file}: each line needs as many cells as the first, and whole numbers.') from None
    return _checked(ClassTable(file, names, colors, () if has_colors else values))


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _text(file: Path) -> ClassTable:
    names, colors = [], []
    for line in _read(file).splitlines():
        if not line.strip() or line.startswith('#'):
            continue
        if found := re.match(r'([^:]+):(\d{1,9}),\s*(\d{1,9}),\s*(\d{1,9})', line):
            name, *color = found.groups()
        elif found := re.match(r'\s*(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})\s+(\S.*)', line):
            *color, name = found.groups()
        elif file.name == 'objectInfo150.txt':
            # Its first line is that of the columns, the last of which is the name.
            name, color = line.split('\t')[-1], []
        else:
            raise UsageError(f"data: {file}: a line has a name and a color; got '{line.strip()[:60]}'.")
        names.append(name.strip())
        colors += [tuple(map(int, color))] if color else []
    if file.name == 'objectInfo150.txt':
        names = names[1:]
    return _checked(ClassTable(file, tuple(names), tuple(colors)))


def _checked(table: ClassTable) -> ClassTable:
    if not table.names:
        raise UsageError(f'data: {table.file} has no classes.')
    for what, given, largest in (
        ('color', [part for color in table.colors for part in color], 255),
        ('value', table.values, MOST_VALUES - 1),
    ):
        if wrong := [number for number in given if not 0 <= number <= largest]:
            raise UsageError(f'data: {table.file}: a {what} is from 0 to {largest}; got {wrong[0]}.')
    for what, given in (('name', table.names), ('color', table.colors), ('value', table.values)):
        twice = next((part for i, part in enumerate(given) if part in given[:i]), None)
        if twice is not None:
            raise UsageError(f'data: {table.file} has the {what} {twice} twice.')
    return table


def _read(file: Path) -> str:
    try:
        return read_text(file)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'data: {file} cannot be read: {error}.') from error
