"""Recognizes datasets of things and stuff, in COCO's panoptic form.

Reference:
    https://cocodataset.org/#format-data: the form of the files, and of the maps of segments.
"""

from pathlib import Path

from convnext_dense.datasets.formats.coco.coco_json import read_json
from convnext_dense.datasets.formats.coco.find import image_folder
from convnext_dense.datasets.formats.description import PanopticDescription, PanopticSplit
from convnext_dense.datasets.formats.places import SPLITS, check_places, folders, split_name
from convnext_dense.errors import UsageError


def describe_panoptic(place: str, work_dir: str) -> PanopticDescription:
    """Describe a dataset of COCO's panoptic form.

    Args:
        place: A folder with JSON files such as ``annotations/panoptic_train2017.json``, the folders of their maps of
            segments, and those of their images. Without a 'val' split, 'test' is taken for it.
        work_dir: A folder to leave out.

    Raises:
        UsageError: If it is no such dataset, or files contradict each other.

    Example:
        >>> describe_panoptic('data/coco', 'work_dirs/run')  # doctest: +SKIP
    """
    root = Path(place)
    contents = {path: content for path in _files(root, work_dir) if (content := _content(path))}
    found = {split_name(path, root): path for path in contents}
    if len(found) < len(contents):
        raise UsageError(f'data: {place} has several panoptic files of one split: {", ".join(map(str, contents))}.')
    if 'train' not in found or len(found) < 2:
        there = ', '.join(map(str, contents)) or 'none'
        raise UsageError(
            f"data: {place} must have a JSON file of COCO's panoptic form for training and one for validation, such as "
            f'annotations/panoptic_train2017.json; it has {there}.'
        )
    remarks = []
    if 'val' not in found:
        if 'test' not in found:
            raise UsageError(f'data: {place} has no split for validation, but {", ".join(map(str, contents))}.')
        found['val'] = found['test']
        remarks.append('There is no split for validation; test is taken for it.')
    names = [_classes(path, content) for path, content in contents.items()]
    if any(other != names[0] for other in names):
        raise UsageError(f'data: {place}: the categories of {", ".join(map(str, contents))} must be the same.')
    things, stuff = names[0]
    splits = {name: _split(found[name], contents[found[name]], root, work_dir) for name in SPLITS if name in found}
    return PanopticDescription(place, things, stuff, splits, remarks)


def _files(root: Path, work_dir: str) -> list[Path]:
    if not root.is_dir():
        raise UsageError(f'data: there is no folder {root}.')
    return sorted(
        path for folder in folders(root, work_dir) for path in folder.glob('*panoptic*.json') if path.name[0] != '.'
    )


def _content(path: Path) -> dict | None:
    try:
        content = read_json(path, is_coco=False)
    except ValueError as error:
        raise UsageError(f'data: {path}: {error}') from error
    if not isinstance(content, dict):
        return None
    parts = [content.get(name) for name in ('images', 'annotations', 'categories')]
    if not all(isinstance(part, list) and all(isinstance(entry, dict) for entry in part) for part in parts):
        return None
    return content if any('segments_info' in entry for entry in content['annotations']) else None


def _classes(path: Path, content: dict) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the things and of the stuff."""
    categories = content['categories']
    names = [category.get('name') for category in categories]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise UsageError(f'data: {path}: each category needs a name of its own; got {names}.')
    are_things = [bool(category.get('isthing')) for category in categories]
    if are_things != sorted(are_things, reverse=True):
        raise UsageError(f'data: {path}: the categories that are things must come before the others, as models count.')
    count = sum(are_things)
    return tuple(names[:count]), tuple(names[count:])


def _split(path: Path, content: dict, root: Path, work_dir: str) -> PanopticSplit:
    images = [str(image.get('file_name')) for image in content['images']]
    maps = [str(entry.get('file_name')) for entry in content['annotations']]
    # Images may have the names of their maps.
    homes = [folder for folder in (path.with_suffix(''), path.parent.parent / path.stem) if folder.is_dir()]
    map_folder = str(homes[0]) if homes else image_folder(maps, path, root, work_dir)
    listed = [entry.get('segments_info', []) for entry in content['annotations']]
    wrong = next((entry for entry in listed if not isinstance(entry, list)), None)
    if wrong is not None or None in listed:
        raise UsageError(f'data: {path}: segments_info must be a list of segments; got {wrong!r:.40}.')
    segments = sum(map(len, listed))
    folder = image_folder(images, path, root, work_dir)
    check_places(images, path, folder, root)
    check_places(maps, path, map_folder, root)
    return PanopticSplit(str(path), folder, map_folder, len(images), segments)
