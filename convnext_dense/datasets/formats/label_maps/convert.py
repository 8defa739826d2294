"""Writes label maps whose values are classes, once."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from convnext_dense.datasets.formats.description import MapSplit
from convnext_dense.datasets.formats.label_maps.pairs import MapFiles
from convnext_dense.datasets.formats.label_maps.turning import Turning
from convnext_dense.datasets.formats.objects.sources import image_size
from convnext_dense.datasets.formats.whole_files import locked_folder, make_folder, size_and_time, write_whole
from convnext_dense.errors import UsageError
from convnext_dense.version import __version__

# What is read or written in another way gets another folder.
VERSION = 2
ENDING = '.png'


def convert_maps(
    splits: Mapping[str, MapFiles], turning: Turning | None, folder: Path
) -> tuple[dict[str, MapSplit], list[str]]:
    """Write label maps whose values are classes, named as their images with '.png' behind.

    Args:
        splits: The images and label maps of each split.
        turning: What they are turned by. If it is None, they are linked to.
        folder: Where to write. The files are in a folder whose name depends on their content.

    Returns:
        The splits with the new maps, and sentences on what is no class in them, which is ignored.

    Raises:
        UsageError: If the files cannot be written.
    """

    def write(name: str) -> Iterable[tuple[Path, Callable[[Path], str]]]:
        files = splits[name]
        for image, label_map in files.files:
            sources = files.images / image, files.maps / label_map
            yield Path(image), lambda place, sources=sources: _turn(*sources, place, turning)

    key = (
        repr(turning),
        [(str(path.absolute()), size_and_time(path)) for files in splits.values() for path in files.map_paths],
    )
    return write_maps({name: files.images for name, files in splits.items()}, write, folder, key)


def write_maps(
    images: Mapping[str, Path],
    maps: Callable[[str], Iterable[tuple[Path, Callable[[Path], str]]]],
    folder: Path,
    key: object,
) -> tuple[dict[str, MapSplit], list[str]]:
    """Write label maps and lists of them, unless the same were written before.

    Args:
        images: The folder of each split's images.
        maps: Returns of a split each image's path in that folder, and a function that writes its map to a path and
            returns a sentence on what is wrong with it.
        folder: Where to write.
        key: What tells these maps from others.

    Raises:
        UsageError: If the files cannot be written.
    """
    digest = hashlib.blake2b(
        json.dumps((__version__, VERSION, key), default=str).encode('utf-8', 'surrogateescape'), digest_size=8
    )
    place = folder / digest.hexdigest()
    complete = place / 'faults.json'
    with locked_folder(place):
        if not all(file.is_file() for file in (complete, *(place / f'{name}.txt' for name in images))):
            faults: list[str] = []
            for name in images:
                faults += _write_split(place, name, list(maps(name)))
            write_whole(complete, json.dumps(faults))
    splits = {}
    for name, root in images.items():
        names = place / f'{name}.txt'
        count = names.read_bytes().count(b'\n')
        splits[name] = MapSplit(str(root), str(place / name), str(names), count)
    return splits, json.loads(complete.read_text(encoding='utf-8'))


def _write_split(place: Path, name: str, maps: Sequence[tuple[Path, Callable[[Path], str]]]) -> list[str]:
    check_names([image.as_posix() for image, _ in maps])

    def write(entry: tuple[Path, Callable[[Path], str]]) -> str:
        image, write_map = entry
        file = place / name / f'{image.as_posix()}{ENDING}'
        make_folder(file.parent)
        return write_map(file)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(write, maps))
    write_whole(place / f'{name}.txt', ''.join(f'{image.as_posix()}\n' for image, _ in maps))
    return [sentence for sentence in said if sentence]


def _turn(image: Path, source: Path, place: Path, turning: Turning | None) -> str:
    if turning is None:
        try:
            place.symlink_to(source.absolute())
        except FileExistsError:
            pass
        except OSError as error:
            raise UsageError(f'work_dir: {place} cannot be made: {error.strerror}.') from error
        return ''
    try:
        labels, said = turning.read(source)
    except ValueError as error:
        return f'{source}: {error}'
    save_map(place, labels)
    said = said or _wrong_size(image, labels)
    return f'{source}: {said}' if said else ''


def _wrong_size(image: Path, labels: np.ndarray) -> str:
    try:
        size = image_size(image)
    except ValueError:
        # What is wrong with an image is said where it is checked.
        return ''
    height, width = labels.shape
    # A map may be as the image is stored, or upright.
    if (width, height) in (size, size[::-1]):
        return ''
    return f'it has {width} x {height} pixels, and its image {size[0]} x {size[1]}.'


def check_names(names: Iterable[str]) -> None:
    """Check whether images can be in a list that has a name in each line.

    Args:
        names: The names, relative to the images' folder.

    Raises:
        UsageError: If one cannot.

    Example:
        >>> check_names(['a/b.png', '../c.png'])
        Traceback (most recent call last):
        ...
        convnext_dense.errors.UsageError: data: the image ../c.png is outside of its folder, and has no label map.
    """
    for name in names:
        if name.startswith('/') or '..' in Path(name).parts:
            raise UsageError(f'data: the image {name} is outside of its folder, and has no label map.')
        is_utf8 = name.isascii() or name == name.encode('utf-8', 'replace').decode()
        if not is_utf8 or name.splitlines() != [name] or name != name.strip():
            raise UsageError(
                f'data: the image {name!r} cannot be in a list of label maps; its name must be of UTF-8, in one line, '
                'without spaces at its ends.'
            )


def save_map(place: Path, labels: np.ndarray) -> None:
    """Write a label map.

    Args:
        place: Its file.
        labels: The classes, of shape (height, width), as uint8.

    Raises:
        UsageError: If it cannot be written.
    """
    written, content = cv2.imencode(ENDING, labels)
    if not written:
        raise UsageError(f'work_dir: {place} cannot be written.')
    write_whole(place, content.tobytes())
