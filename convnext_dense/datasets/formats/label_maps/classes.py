"""Finds the classes of label maps: from a table of names, and from the values or colors of the pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convnext_dense.datasets.formats.description import SHOWN_CLASSES
from convnext_dense.datasets.formats.label_maps.known import known_classes, known_values
from convnext_dense.datasets.formats.label_maps.tables import IGNORED_NAMES, ClassTable, find_table
from convnext_dense.datasets.formats.label_maps.turning import Turning
from convnext_dense.datasets.formats.label_maps.values import IGNORED, Pixels, look_at
from convnext_dense.errors import UsageError
from convnext_dense.wording import counted

# How many label maps are looked at, of all splits; the others are looked at when they are loaded.
SAMPLE = 200
SHOWN_VALUES = 5
NAMES = 'classes.txt'


@dataclass(frozen=True)
class MapClasses:
    """The classes of label maps.

    Args:
        names: Their names, in the order of their labels.
        ignores_zero: Whether a pixel of 0 is ignored, and the first class is 1.
        turning: What maps are turned by; None if their values are the classes.
        remarks: Sentences on what was chosen.

    Raises:
        UsageError: If label maps cannot have as many.
    """

    names: tuple[str, ...]
    ignores_zero: bool = False
    turning: Turning | None = None
    remarks: Sequence[str] = ()

    def __post_init__(self) -> None:
        if len(self.names) + self.ignores_zero > IGNORED:
            raise UsageError(
                f'data: there are {counted(len(self.names), "class")}; label maps of 8 bits can have {IGNORED}.'
            )


def find_classes(
    root: Path, maps: Path, ending: str, paths: Sequence[Path], given: Sequence[str] | None = None
) -> MapClasses:
    """Return the classes of label maps.

    Args:
        root: The dataset's folder, in which a table of them may be.
        maps: The folder of the label maps.
        ending: How the names of the label maps end in place of the images' ending.
        paths: The label maps.
        given: The names of the classes, if they were said; otherwise they are looked for.

    Raises:
        UsageError: If a label map cannot be read, or has values or colors that are no classes.

    Example:
        >>> find_classes(Path('.'), Path('.'), '.png', [])
        Traceback (most recent call last):
        ...
        convnext_dense.errors.UsageError: data: . has no label maps with classes.
    """
    table = ClassTable(root, tuple(given)) if given else find_table(root)
    has_colors = table is not None and bool(table.colors)
    pixels = look_at(paths[:: -(-len(paths) // SAMPLE) or 1], by_color=has_colors)
    if pixels.colors:
        return _by_color(root, pixels, table)
    if has_colors and table is not None and _are_colors(pixels.values, table):
        return _by_color(root, pixels, table)
    values = set(pixels.values)
    if not values - {IGNORED}:
        raise UsageError(f'data: {root} has no label maps with classes.')
    if table is not None and table.values:
        return _by_value(root, pixels, table)
    if values == {0, IGNORED}:
        return _binary(table)
    turned = known_values(maps, ending)
    names = table.names if table else known_classes(root, maps, ending, values)
    if turned is not None:
        if not names:
            raise UsageError(f'data: {root} has no {NAMES} with a name for each class in a line.')
        return MapClasses(names, turning=Turning(values=turned), remarks=[f'Values are those of {maps.name}.'])
    return _by_count(root, values, names, table, pixels.needs_turning)


def _are_colors(values: frozenset[int], table: ClassTable) -> bool:
    """Return whether the values of gray maps are the colors of a table, such as black and white."""
    return values <= {red for red, green, blue in table.colors if red == green == blue}


def _by_color(root: Path, pixels: Pixels, table: ClassTable | None) -> MapClasses:
    colors = pixels.colors | {(value,) * 3 for value in pixels.values}
    if table is None or not table.colors:
        shown = ', '.join(map(str, sorted(colors)[:SHOWN_VALUES]))
        raise UsageError(
            f'data: the label maps of {root} have {len(colors)} colors, such as {shown}; write class_dict.csv with the '
            'columns name, r, g, b, and a line for each class.'
        )
    unknown = sorted(colors - set(table.colors))
    if unknown:
        file = pixels.files.get(unknown[0]) or pixels.files.get(unknown[0][0])
        raise UsageError(f'data: {file} has the color {unknown[0]}, which {table.file} has not.')
    names, labels = _learned(table.names)
    turning = Turning(colors=dict(zip(table.colors, labels, strict=True)))
    return MapClasses(names, turning=turning, remarks=[_said_of(table, labels)])


def _by_value(root: Path, pixels: Pixels, table: ClassTable) -> MapClasses:
    unknown = sorted(set(pixels.values) - set(table.values) - {IGNORED})
    if unknown:
        raise UsageError(f'data: {pixels.files[unknown[0]]} has the value {unknown[0]}, which {table.file} has not.')
    names, labels = _learned(table.names)
    turning = Turning(values={IGNORED: IGNORED} | dict(zip(table.values, labels, strict=True)))
    return MapClasses(names, turning=turning, remarks=[_said_of(table, labels)])


def _learned(names: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Return the names of classes, and the label of each row of a table; rows of no class are ignored."""
    learned = tuple(name for name in names if name.lower() not in IGNORED_NAMES)
    return learned, [learned.index(name) if name in learned else IGNORED for name in names]


def _said_of(table: ClassTable, labels: Sequence[int]) -> str:
    ignored = [name for name, label in zip(table.names, labels, strict=True) if label == IGNORED]
    said = f' {", ".join(ignored)} is ignored.' if ignored else ''
    return f'Names and colors are from {table.file}.{said}' if table.colors else f'Names are from {table.file}.{said}'


def _binary(table: ClassTable | None) -> MapClasses:
    names = table.names if table else ('background', 'foreground')
    if len(names) == 1:
        names = ('background', *names)
    if len(names) != 2 or (table is not None and len(table.names) > 2):
        raise UsageError(
            f'data: the label maps have the values 0 and 255 alone, which are two classes, and {table.file} has '
            f'{len(table.names)}.'
        )
    said = f'The label maps have the values 0 and 255: 0 is {names[0]!r}, and 255 is {names[1]!r}.'
    return MapClasses(names, turning=Turning(values={0: 0, IGNORED: 1}), remarks=[said])


def _by_count(
    root: Path, values: set[int], names: tuple[str, ...], table: ClassTable | None, needs_turning: bool
) -> MapClasses:
    """Return the classes of maps whose values count them."""
    most = max(values - {IGNORED})
    if names:
        file = table.file if table else root
        said = f'Names are from {table.file}.' if table else "Names are the dataset's own."
        if most > len(names):
            raise UsageError(
                f'data: the label maps of {root} have values up to {most}, and {file} has {len(names)} names.'
            )
    else:
        if len(values - {IGNORED}) * 2 < most + 1:
            shown = ', '.join(map(str, sorted(values)[:SHOWN_VALUES]))
            raise UsageError(
                f'data: the label maps of {root} have the values {shown}, which do not count classes; count from 0, or '
                f'write {NAMES} with a name for each value in a line.'
            )
        names = tuple(f'class {value}' for value in range(most + 1))
        said = f'There is no {NAMES} with a name in each line, so the classes are named by their values.'
    if len(names) == 1:
        raise UsageError(
            f'data: {root} has one class, {names[0]!r}, and a segmenter tells classes apart; a background is a class, '
            f'and {NAMES} has a line for each.'
        )
    ignores_zero = most == len(names)
    if ignores_zero:
        said += f' The label maps have values up to {most}, so the first name is 1, and 0 is ignored.'
    unseen = [name for i, name in enumerate(names) if i + ignores_zero not in values]
    if unseen:
        said += f' No pixel was seen of {", ".join(unseen[:SHOWN_CLASSES])}{", ..." * (len(unseen) > SHOWN_CLASSES)}.'
    turning = Turning(values=_same(len(names) + ignores_zero)) if needs_turning else None
    return MapClasses(names, ignores_zero, turning, [said])


def _same(count: int) -> Mapping[int, int]:
    return {IGNORED: IGNORED} | {value: value for value in range(count)}
