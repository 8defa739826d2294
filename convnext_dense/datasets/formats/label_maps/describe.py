"""Recognizes datasets of images and label maps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mmengine.fileio import list_dir_or_file

from convnext_dense.datasets.formats.description import MapDescription, MapSplit
from convnext_dense.datasets.formats.faults import tell_faults
from convnext_dense.datasets.formats.label_maps.classes import find_classes
from convnext_dense.datasets.formats.label_maps.convert import ENDING, check_names, convert_maps
from convnext_dense.datasets.formats.label_maps.folders import find_map_files
from convnext_dense.datasets.formats.label_maps.pairs import MapFiles
from convnext_dense.datasets.formats.places import CONVERTED
from convnext_dense.datasets.formats.splits import complete_splits
from convnext_dense.datasets.formats.whole_files import write_whole
from convnext_dense.errors import UsageError


class NoMapsError(UsageError):
    """There are no label maps in a place."""


def describe_maps(
    place: str, work_dir: str, folder: Path, report: Callable[[str], None] | None = None
) -> MapDescription:
    """Describe a dataset of label maps.

    Args:
        place: A folder with images and label maps, as in `find_map_files`. Without a 'val' split, 'test' is taken for
            it; with neither, part of the images is.
        work_dir: Where the lists of a split that had to be made are written.
        folder: Where label maps are written whose values are not the classes.
        report: Called with a sentence on each label map that is wrong.

    Raises:
        NoMapsError: If there are none.
        UsageError: If it is not clear which they are, or without `report` one is wrong.

    Example:
        >>> describe_maps('data/street', 'work_dirs/street', Path('work_dirs/converted'))  # doctest: +SKIP
    """
    root = Path(place)
    found = find_map_files(root, work_dir) if root.is_dir() else {}
    if not found:
        raise NoMapsError(
            f'data: {root} holds no folder of images and folder of label maps of the same names, such as images and '
            'masks.'
        )
    return describe_map_files(place, root, found, work_dir, folder, report)


def describe_map_files(
    place: str,
    root: Path,
    found: Mapping[str, MapFiles],
    work_dir: str,
    folder: Path,
    report: Callable[[str], None] | None = None,
    names: Sequence[str] | None = None,
) -> MapDescription:
    """Describe a dataset whose label maps were found.

    Args:
        place: What the dataset is called by.
        root: The folder in which a table of its classes may be.
        found: The images and label maps of each split; '' if it is not known which.
        work_dir: Where the lists of a split that had to be made are written.
        folder: Where label maps are written whose values are not the classes.
        report: Called with a sentence on each label map that is wrong.
        names: The names of the classes, if they were said.

    Raises:
        UsageError: If they do not fit together.
    """
    remarks = [
        f'Images of {files.images} without a label map in {files.maps} are left out: {files.without_map}.'
        for files in found.values()
        if files.without_map
    ]
    remarks += [
        f'Label maps of {files.maps} without an image in {files.images} are left out: {files.without_image}.'
        for files in found.values()
        if files.without_image
    ]
    chosen, said = complete_splits({name: list(_pairs(files)) for name, files in found.items()}, place)
    splits = {name: _files(found, pairs) for name, pairs in chosen.items()}
    paths = [path for files in splits.values() for path in files.map_paths]
    endings = {ending for files in splits.values() for ending in files.endings}
    (image_ending, map_ending), *others = sorted(endings)
    classes = find_classes(root, splits['train'].maps, map_ending, paths, names)
    remarks = [*remarks, *said, *classes.remarks]
    if others or map_ending == '?' or classes.turning:
        written, faults = convert_maps(splits, classes.turning, folder)
        tell_faults(faults, report)
        remarks.append(f'Label maps of one channel and one name are in {folder}.')
        return MapDescription(place, classes.names, written, '', ENDING, classes.ignores_zero, remarks)
    where = Path(work_dir, CONVERTED)
    described = {name: _split(files, image_ending, where, name) for name, files in splits.items()}
    return MapDescription(place, classes.names, described, image_ending, map_ending, classes.ignores_zero, remarks)


def _pairs(files: MapFiles) -> Sequence[tuple[Path, Path, tuple[str, str]]]:
    return [(files.images, files.maps, pair) for pair in files.files]


def _files(found: Mapping[str, MapFiles], pairs: Sequence[tuple[Path, Path, tuple[str, str]]]) -> MapFiles:
    images, maps, _ = pairs[0]
    own = next(files for files in found.values() if (files.images, files.maps) == (images, maps))
    return replace(own, files=[pair for *_, pair in pairs])


def _split(files: MapFiles, ending: str, folder: Path, name: str) -> MapSplit:
    stems = [image.removesuffix(ending) for image, _ in files.files]
    # What mmseg finds in the folder without a list.
    there = list_dir_or_file(files.images, list_dir=False, suffix=ending, recursive=True)
    if sorted(path.removesuffix(ending) for path in there) == sorted(stems):
        return MapSplit(str(files.images), str(files.maps), '', len(stems))
    check_names(stems)
    file = folder / f'{name}.txt'
    write_whole(file, ''.join(f'{stem}\n' for stem in stems))
    return MapSplit(str(files.images), str(files.maps), str(file), len(stems))
