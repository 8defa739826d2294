"""Reads lists of a split's images, and lists of images with their label maps."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from convnext_dense.datasets.formats.label_maps.pairs import MapFiles, image_ending
from convnext_dense.datasets.formats.places import folders, is_image, split_name, without_flag
from convnext_dense.errors import UsageError
from convnext_dense.regular_files import read_text


def pairs_of_lists(root: Path, work_dir: str) -> dict[str, MapFiles]:
    """Return the images and label maps that lists name in pairs, by the split that a list's name says.

    Args:
        root: A folder with lists such as ``train.txt``, whose lines are the paths of an image and of its label map,
            with a space, a tab or a comma between them. They are relative to `root` or to the list's folder.
        work_dir: A folder to leave out.

    Example:
        >>> pairs_of_lists(Path('docs'), '')
        {}
    """
    found = {}
    for file in _lists(root, work_dir):
        lines = _lines(file)
        pairs = [pair for line in lines if (pair := _two_paths(line))]
        if lines and len(pairs) == len(lines):
            base = next((path for path in (root, file.parent) if (path / pairs[0][0]).is_file()), root)
            found[split_name(file, root)] = MapFiles(base, base, pairs)
    return found


def named_files(root: Path, work_dir: str, files: MapFiles) -> dict[str, MapFiles]:
    """Return the splits of a dataset whose lists, such as ``train.txt``, name images of one folder.

    Args:
        root: The dataset's folder.
        work_dir: A folder to leave out.
        files: All images.

    Raises:
        UsageError: If a list names an image that has no label map.
    """
    by_tail = _by_tail(files)
    found: dict[str, MapFiles] = {}
    for file in _lists(root, work_dir):
        lines = _lines(file)
        # VOC's lists may have a number after the name.
        names = [line if _find(line, by_tail) else without_flag(line) for line in lines]
        pairs = {name: _find(name, by_tail) for name in names}
        named = [pair for name in names for pair in pairs[name][:1]]
        if not names or len(named) * 2 <= len(names):
            continue
        if len(named) < len(names):
            missing = next(name for name in names if not pairs[name])
            raise UsageError(f'data: {file} names {missing}, which has no label map in {files.maps}.')
        if several := next((name for name in names if len(pairs[name]) > 1), ''):
            first, second, *_ = pairs[several]
            raise UsageError(f'data: {file} names {several}, which can be {first[0]} or {second[0]} of {files.images}.')
        name = split_name(file, root)
        if name not in found or file.stem == name:
            # VOC's trainval holds train.
            found[name] = MapFiles(files.images, files.maps, named)
    return found


def _by_tail(files: MapFiles) -> dict[str, list[tuple[str, str]]]:
    """Return the pairs by the ends of their images' paths, from the whole path to the name, with and without ending."""
    found: dict[str, list[tuple[str, str]]] = {}
    for pair in files.files:
        parts = Path(pair[0]).parts
        for i in range(len(parts)):
            tail = '/'.join(parts[i:])
            for name in {tail, tail.removesuffix(image_ending(tail))}:
                found.setdefault(name, []).append(pair)
    return found


def _find(line: str, by_tail: Mapping[str, list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Return the pairs that a line can name: those of the longest end of its path."""
    parts = Path(line).parts
    tails = ('/'.join(parts[i:]) for i in range(len(parts)))
    return next((by_tail[tail] for tail in tails if tail in by_tail), [])


def _lists(root: Path, work_dir: str) -> Iterator[Path]:
    for folder in folders(root, work_dir):
        for file in sorted(folder.glob('[!.]*.txt')):
            if split_name(Path(file.name), Path()) and not (file.parent.name == 'Main' and 'ImageSets' in file.parts):
                yield file


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in read_text(file).splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'data: {file} cannot be read: {error}.') from error


def _two_paths(line: str) -> tuple[str, str] | None:
    for separator in (',', '\t', ' '):
        parts = [part.strip() for part in line.split(separator)]
        if len(parts) == 2 and all(is_image(Path(part)) for part in parts):
            return parts[0].lstrip('/'), parts[1].lstrip('/')
    return None
