"""Reads lists of a split's images, and lists of images with their label maps."""

from collections.abc import Iterator
from pathlib import Path

from convnext_dense.datasets.formats.label_maps.pairs import MapFiles, image_ending
from convnext_dense.datasets.formats.places import folders, is_image, split_name, without_flag
from convnext_dense.errors import UsageError


def listed_pairs(root: Path, work_dir: str) -> dict[str, MapFiles]:
    """Return the images and label maps that are listed as pairs, by the split that a list's name says.

    Args:
        root: A folder with lists such as ``train.txt``, whose lines are the paths of an image and of its label map,
            with a space, a tab or a comma between them. They are relative to `root` or to the list's folder.
        work_dir: A folder to leave out.

    Example:
        >>> listed_pairs(Path('docs'), '')
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
    by_name = {name: pair for pair in files.files for name in (pair[0], pair[0].removesuffix(image_ending(pair[0])))}
    by_name |= {Path(name).name: pair for name, pair in by_name.items()}
    found: dict[str, MapFiles] = {}
    for file in _lists(root, work_dir):
        lines = [Path(line).name for line in _lines(file)]
        # VOC's lists may have a number after the name.
        names = [line if line in by_name else without_flag(line) for line in lines]
        named = [by_name[name] for name in names if name in by_name]
        if not names or len(named) * 2 <= len(names):
            continue
        if len(named) < len(names):
            missing = next(name for name in names if name not in by_name)
            raise UsageError(f'data: {file} names {missing}, which has no label map in {files.maps}.')
        name = split_name(file, root)
        if name not in found or file.stem == name:
            # VOC's trainval holds train.
            found[name] = MapFiles(files.images, files.maps, named)
    return found


def _lists(root: Path, work_dir: str) -> Iterator[Path]:
    for folder in folders(root, work_dir):
        for file in sorted(folder.glob('[!.]*.txt')):
            if split_name(Path(file.name), Path()) and not (file.parent.name == 'Main' and 'ImageSets' in file.parts):
                yield file


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding='utf-8-sig').splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'data: {file} cannot be read: {error}.') from error


def _two_paths(line: str) -> tuple[str, str] | None:
    for separator in (',', '\t', ' '):
        parts = [part.strip() for part in line.split(separator)]
        if len(parts) == 2 and all(is_image(Path(part)) for part in parts):
            return parts[0].lstrip('/'), parts[1].lstrip('/')
    return None
