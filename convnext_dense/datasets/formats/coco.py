"""Recognizes datasets whose annotations are JSON files of COCO's form, in the layouts that people have them in."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from msgspec import UNSET, Raw

from convnext_dense.datasets.formats.coco_json import CocoContent, coco_content, read_json
from convnext_dense.datasets.formats.coco_split import SEED, VAL_FRACTION, split_coco
from convnext_dense.datasets.formats.description import DataDescription, Split
from convnext_dense.datasets.formats.places import SPLITS, folders, split_name
from convnext_dense.errors import UsageError

# COCO's own files of other tasks lie beside its instances.
OTHER_TASKS = ('captions', 'panoptic', 'person', 'stuff', 'image')
# More JSON files are one for each image, and no annotation files.
MOST_FILES = 20
# How many images are looked for.
SAMPLE = 20


@dataclass(frozen=True)
class _File:
    path: Path
    content: CocoContent


def describe_coco(place: str, work_dir: str) -> DataDescription:
    """Describe a dataset of COCO's form.

    Args:
        place: An annotation file, or a folder with annotation files and images: COCO's own layout, the exports of
            Roboflow, CVAT and Label Studio, or one file alone. What splits they are is read from the names of files and
            folders. Without a 'val' split, 'test' is taken for it; with neither, part of 'train' is.
        work_dir: Where the files of a split that had to be made are written.

    Raises:
        UsageError: If it is no such dataset, or it is not clear which.

    Example:
        >>> describe_coco('data/nuclei', 'work_dirs/nuclei')  # doctest: +SKIP
    """
    root = Path(place)
    if not root.exists():
        raise UsageError(f'data: there is no {place}.')
    files = _annotation_files(root)
    remarks = []
    if list(files) == ['train'] or list(files) == ['']:
        (file,) = files.values()
        files = {name: _read(path) for name, path in split_coco(file.path, Path(work_dir, 'data')).items()}
        remarks.append(
            f'{file.path} is the only annotation file: {VAL_FRACTION:.0%} of its images are for validation, drawn with '
            f'seed {SEED}; the parts are in {work_dir}/data.'
        )
        image_folders = dict.fromkeys(files, _image_folder(file, root))
    else:
        if 'train' not in files:
            raise UsageError(f'data: {place} has no annotation file for training, but {_list(files)}.')
        if 'val' not in files:
            files['val'] = files['test']
            remarks.append(f'There is no split for validation; {files["test"].path} is taken for it.')
        image_folders = {name: _image_folder(file, root) for name, file in files.items()}
    names, left_out = _classes(files)
    if left_out:
        remarks.append(f'{left_out!r} is left out: it is the name of a group of classes, and no object is one.')
    splits = {name: _split(files[name], image_folders[name], names) for name in SPLITS if name in files}
    return DataDescription(place, 'COCO', tuple(names.values()), splits, _has_masks(files['train']), remarks)


def _annotation_files(root: Path) -> dict[str, _File]:
    """Return the annotation files by their split; one that is alone may have none, ''."""
    if root.is_file():
        return {'': _read(root)}
    paths = [
        path
        for folder in folders(root)
        for path in sorted(folder.glob('*.[jJ][sS][oO][nN]'))
        if re.split('[^a-z]', path.name.lower())[0] not in OTHER_TASKS
    ]
    if len(paths) > MOST_FILES:
        raise UsageError(
            f"data: {root} holds {len(paths)} JSON files or more; a dataset of COCO's form has one for each split."
        )
    files = [_File(path, content) for path in paths if (content := _content(path)) is not None]
    if not files:
        raise UsageError(f'data: {root} holds no JSON file with images, annotations and categories.')
    if len(files) == 1:
        return (
            {split_name(files[0].path, root): files[0]}
            if split_name(files[0].path, root) == 'train'
            else {'': files[0]}
        )
    found: dict[str, _File] = {}
    for file in files:
        name = split_name(file.path, root)
        if name in found:
            which = f'of the split {name!r}' if name else 'whose names do not say which split they are'
            raise UsageError(
                f'data: {root} has two annotation files {which}, {found[name].path} and {file.path}; name one of them.'
            )
        found[name] = file
    found.pop('', None)
    return found


def _content(path: Path) -> CocoContent | None:
    try:
        return coco_content(read_json(path, is_coco=True))
    except ValueError as error:
        raise UsageError(f'data: {path}: {error}') from error


def _read(path: Path) -> _File:
    content = _content(path)
    if content is None:
        raise UsageError(f"data: {path} has no images, annotations and categories; it must be of COCO's form.")
    return _File(path, content)


def _image_folder(file: _File, root: Path) -> str:
    """Return the folder that an annotation file's images are in."""
    names = [str(image.get('file_name')) for image in file.content.images]
    if not names:
        raise UsageError(f'data: {file.path} has no images.')
    sample = names[:: -(-len(names) // SAMPLE)]
    # A file that was named by itself may lie in a folder next to the images.
    roots = [root] if root.is_dir() else [root.parent, root.parent.parent]
    for place in roots:
        found = {folder: sum((folder / name).is_file() for name in sample) for folder in folders(place)}
        most = max(found.values())
        if most:
            best = [folder for folder, count in found.items() if count == most]
            return str(min(best, key=lambda folder: _distance(folder, file.path, place)))
    raise UsageError(f'data: the images of {file.path}, such as {sample[0]}, are in no folder of {roots[-1]}.')


def _distance(folder: Path, annotations: Path, root: Path) -> tuple[bool, bool]:
    """Return a key that sorts folders that hold images of the same names, as those of two splits often do."""
    return split_name(folder, root) != split_name(annotations, root), folder != annotations.parent


def _classes(files: dict[str, _File]) -> tuple[dict, str]:
    """Return the classes' names by their ids, and the name of a category that is none."""
    first = files['train']
    try:
        names = {category['id']: category['name'] for category in first.content.categories}
    except KeyError as error:
        raise UsageError(f'data: {first.path}: a category has no {error}.') from error
    used = {annotation.category_id for file in files.values() for annotation in file.content.annotations}
    # Roboflow writes the dataset's name as a category, which all others have as supercategory.
    groups = {category.get('supercategory') for category in first.content.categories}
    left_out = next((i for i, name in names.items() if i not in used and name in groups and len(names) > 1), None)
    other = next((file for file in files.values() if _names(file) != _names(first)), None)
    if other is not None:
        raise UsageError(
            f'data: {other.path} has the classes {_names(other)}, but {first.path} has {_names(first)}; they must be '
            'the same in the same order.'
        )
    return {i: name for i, name in names.items() if i != left_out}, names.get(left_out, '')


def _names(file: _File) -> list:
    return [category.get('name') for category in file.content.categories]


def _split(file: _File, images: str, names: dict) -> Split:
    counts = Counter(annotation.category_id for annotation in file.content.annotations)
    objects = {name: counts[i] for i, name in names.items()}
    return Split(str(file.path), images, len(file.content.images), objects)


def _has_masks(file: _File) -> bool:
    annotations = file.content.annotations
    return bool(annotations) and all(_is_mask(annotation.segmentation) for annotation in annotations)


def _is_mask(segmentation: object) -> bool:
    return segmentation not in (UNSET, None, [], Raw(b''), Raw(b'[]'), Raw(b'null'))


def _list(files: dict[str, _File]) -> str:
    return ' and '.join(str(file.path) for file in files.values())
