"""Reads the ``data.yaml`` of YOLO's datasets, in its forms."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from convnext_dense.datasets.formats.places import SPLITS, images_of_list, is_image, walk_images
from convnext_dense.datasets.formats.yaml_files import are_names, read_yaml, shown
from convnext_dense.errors import UsageError

MERGED = {'train': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val', 'test': 'test'}


@dataclass(frozen=True)
class YoloYaml:
    """A ``data.yaml``, which may have names alone.

    Args:
        file: Its path.
        content: Its content.
        names: The names of the classes.
        keypoint_numbers: How many numbers of keypoints each line of labels has.
    """

    file: Path
    content: dict
    names: tuple[str, ...]
    keypoint_numbers: int

    @property
    def has_splits(self) -> bool:
        """Whether it says where images are."""
        return any(key in self.content for key in MERGED)


def yolo_yaml(root: Path) -> YoloYaml | None:
    """Return a ``data.yaml``, or None if there is none.

    Args:
        root: The file, or the folder that it is in.

    Raises:
        UsageError: If there are several, or its names are none.
    """
    paths = [root] if root.is_file() else sorted(path for path in root.glob('*.y*ml') if path.is_file())
    found = {}
    for path in paths:
        if path.suffix.lower() in ('.yaml', '.yml'):
            content = read_yaml(path)
            if isinstance(content, dict) and 'names' in content:
                found[path] = content
    if not found:
        return None
    if len(found) > 1:
        raise UsageError(f'data: {root} has several files of YOLO, {" and ".join(map(str, found))}; name one of them.')
    ((path, content),) = found.items()
    keypoints = content.get('kpt_shape')
    numbers = prod(keypoints) if isinstance(keypoints, list) and all(isinstance(n, int) for n in keypoints) else 0
    return YoloYaml(path, content, _names(path, content), numbers)


def _names(path: Path, content: dict) -> tuple[str, ...]:
    names = content['names']
    if isinstance(names, dict):
        try:
            names = {int(i): name for i, name in names.items()}
        except (TypeError, ValueError, OverflowError):
            raise UsageError(f'data: {path}: the keys of names must be the numbers of the classes.') from None
        if sorted(names) != list(range(len(names))):
            raise UsageError(
                f'data: {path}: names must have the numbers 0 to {len(names) - 1}; got {shown(sorted(names))}.'
            )
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list) or not names or not are_names(names):
        raise UsageError(f'data: {path}: names must be a list of names, or a map of them; got {shown(names)}.')
    names = tuple(str(name) for name in names)
    if len(set(names)) < len(names):
        raise UsageError(f'data: {path}: a name is there twice in {shown(list(names))}.')
    if content.get('nc', len(names)) != len(names):
        raise UsageError(f'data: {path}: nc is {shown(content["nc"])}, and there are {len(names)} names.')
    return names


def yaml_splits(yaml: YoloYaml) -> tuple[dict[str, list[Path]], list[str]]:
    """Return the images of each split, and sentences on what was chosen.

    Raises:
        UsageError: If a split is not there.
    """
    base = yaml.file.parent
    given = yaml.content.get('path')
    root, remarks = base, []
    if not isinstance(given, str | int | None):
        raise UsageError(f'data: {yaml.file}: path must be a folder; got {shown(given)}.')
    if given:
        # Of another machine, or below the folder that YOLO's settings name.
        root = next((place for place in (base / str(given), Path(str(given))) if place.is_dir()), base)
        if root == base and (base / str(given)).resolve() != base.resolve():
            remarks.append(f'{yaml.file} has the path {given}, which is not there; {base} is taken for it.')
    splits: dict[str, list[Path]] = {}
    for key, name in MERGED.items():
        places = yaml.content.get(key)
        if places is None:
            continue
        if isinstance(places, str):
            places = [places]
        if not isinstance(places, list) or not all(isinstance(place, str) for place in places):
            raise UsageError(
                f'data: {yaml.file}: {key} must be a folder, a file, or a list of them; got {shown(places)}.'
            )
        images = [image for place in places for image in _images(yaml.file, key, place, root)]
        if images or name == 'train':
            splits[name] = splits.get(name, []) + images
    return {name: splits[name] for name in SPLITS if name in splits}, remarks


def _images(file: Path, key: str, place: str, root: Path) -> Sequence[Path]:
    # Roboflow's exports say '../train/images' and mean './train/images'.
    tried = [root / place, file.parent / place, file.parent / place.removeprefix('../'), Path(place)]
    found = next((path for path in tried if path.exists()), None)
    if found is None:
        if key == 'test':
            return []
        raise UsageError(f'data: {file}: {key} is {place}, which is not in {root}.')
    if found.is_dir():
        return walk_images(found)
    if is_image(found):
        return [found]
    return images_of_list(found, root)
