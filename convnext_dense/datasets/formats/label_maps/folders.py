"""Finds folders of images and folders of label maps that belong together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from convnext_dense.datasets.formats.label_maps.lists import named_files, pairs_of_lists
from convnext_dense.datasets.formats.label_maps.pairs import MapFiles, is_map_name, pair_names
from convnext_dense.datasets.formats.places import (
    IMAGE_WORDS,
    MAP_WORDS,
    folders,
    has_word,
    image_names,
    split_name,
)
from convnext_dense.errors import UsageError


def find_map_files(root: Path, work_dir: str) -> dict[str, MapFiles]:
    """Return the images and label maps of each split; '' if it is not known which. Empty if there are none.

    Args:
        root: A folder with folders of images and of label maps of the same names, such as ``images/train`` and
            ``masks/train``, or ``train/images`` and ``train/labels``; with both in one folder, such as ``a.jpg`` and
            ``a_mask.png``; or with lists of both, such as ``train.txt``. What splits they are is read from the names
            of the folders and lists.
        work_dir: A folder to leave out.

    Raises:
        UsageError: If it is not clear which belong together.
    """
    if lists := pairs_of_lists(root, work_dir):
        return lists
    found = {name: _clearest(name, pairs) for name, pairs in _candidates(root, work_dir).items()}
    if len(found) > 1 and (other := found.pop('', None)):
        # It holds the folders of the splits, or is another one.
        in_splits = {image for files in found.values() for image in files.image_paths}
        left = [pair for pair in other.files if other.images / pair[0] not in in_splits]
        if left:
            found[''] = replace(other, files=left)
    if list(found) in ([''], ['train']):
        (files,) = found.values()
        return named_files(root, work_dir, files) or found
    return found


def _candidates(root: Path, work_dir: str) -> dict[str, list[MapFiles]]:
    listed = _files(root, work_dir)
    found: dict[str, list[MapFiles]] = {}
    for images, names in listed.items():
        for maps, map_names in listed.items():
            is_of_one_split = split_name(images, root) == split_name(maps, root)
            is_other = has_word(maps, root, IMAGE_WORDS) or has_word(images, root, MAP_WORDS)
            if images == maps:
                pair = _pair_in_one_folder(images, names) if not has_word(images, root, MAP_WORDS) else None
            elif is_of_one_split and not is_other:
                inner = f'{maps.relative_to(images)}/' if maps.is_relative_to(images) else '/'
                pair = pair_names(images, [name for name in names if not name.startswith(inner)], maps, map_names)
            else:
                continue
            if pair:
                found.setdefault(split_name(images, root), []).append(pair)
    return found


def _pair_in_one_folder(folder: Path, names: Sequence[str]) -> MapFiles | None:
    maps = [name for name in names if is_map_name(name)]
    if not maps:
        return None
    return pair_names(folder, [name for name in names if not is_map_name(name)], folder, maps)


def _clearest(name: str, pairs: Sequence[MapFiles]) -> MapFiles:
    most = max(len(pair.files) for pair in pairs)
    best = [pair for pair in pairs if len(pair.files) == most]
    best = [pair for pair in best if not any(_is_inside(pair, other) for other in best)]
    if len(best) > 1:
        # VOC's maps of objects lie next to those of classes.
        best = [pair for pair in best if not _is_of_objects(pair.maps)] or best
    if len(best) > 1:
        shown = ' and '.join(f'{pair.images} with {pair.maps}' for pair in best[:2])
        raise UsageError(f'data: it is not clear which are the label maps of {name or "the images"}: {shown}.')
    return best[0]


def _is_inside(pair: MapFiles, other: MapFiles) -> bool:
    return pair != other and pair.images.is_relative_to(other.images) and pair.maps.is_relative_to(other.maps)


def _is_of_objects(maps: Path) -> bool:
    return maps.name in ('SegmentationObject', 'instance_labels', 'instances')


def _files(root: Path, work_dir: str) -> dict[Path, list[str]]:
    """Return the images in each folder and in the folders in it, such as Cityscapes' cities."""
    found: dict[Path, list[str]] = {}
    for folder in folders(root, work_dir):
        found[folder] = []
        names = image_names(folder)
        for outer in (path for path in (folder, *folder.parents) if path in found):
            inner = folder.relative_to(outer)
            found[outer] += [str(inner / name) for name in names]
    return found
