"""Recognizes datasets whose annotations are JSON files of COCO's form, in the layouts that people have them in."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convnext_dense.datasets.formats.coco.coco_split import split_coco
from convnext_dense.datasets.formats.coco.coco_summary import SAMPLE, CocoSummary, summarize
from convnext_dense.datasets.formats.description import DataDescription, Split
from convnext_dense.datasets.formats.places import (
    CONVERTED,
    IMAGE_WORDS,
    MAP_WORDS,
    SPLITS,
    check_places,
    folders,
    has_word,
    split_name,
)
from convnext_dense.datasets.formats.splits import SEED, VAL_FRACTION
from convnext_dense.errors import UsageError

# COCO's own files of other tasks lie beside its instances.
OTHER_TASKS = ('captions', 'panoptic', 'person', 'stuff', 'image')
# More JSON files are one for each image, and no annotation files.
MOST_FILES = 20


@dataclass(frozen=True)
class _File:
    path: Path
    content: CocoSummary


def find_coco(place: str, work_dir: str) -> DataDescription | None:
    """Describe a dataset of COCO's form; return None if no file has it.

    Args:
        place: An annotation file, or a folder with annotation files and images: COCO's own layout, the exports of
            Roboflow, CVAT and Label Studio, or one file alone. What splits they are is read from the names of files and
            folders. Without a 'val' split, 'test' is taken for it; with neither, part of 'train' is.
        work_dir: Where the files of a split that had to be made are written.

    Raises:
        UsageError: If it has, and it is not clear which files are which, or they contradict each other.

    Example:
        >>> find_coco('docs', '') is None
        True
    """
    root = Path(place)
    files = _annotation_files(root, work_dir)
    if not files:
        return None
    remarks = []
    if len(files) > 1 and (other := files.pop('', None)):
        remarks.append(f'{other.path} is left out: its name does not say which split it is.')
    if list(files) in (['train'], ['']):
        (file,) = files.values()
        folder = image_folder(file.content.sample, file.path, root, work_dir)
        files = {name: _read(path) for name, path in split_coco(file.path, Path(work_dir, CONVERTED)).items()}
        image_folders = dict.fromkeys(files, folder)
        remarks.append(
            f'{file.path} is the only annotation file: {VAL_FRACTION:.0%} of its images are for validation, drawn with '
            f'seed {SEED}; the parts are in {work_dir}/{CONVERTED}.'
        )
    else:
        if 'train' not in files:
            raise UsageError(f'data: {place} has no annotation file for training, but {_list(files)}.')
        if 'val' not in files:
            files['val'] = files['test']
            remarks.append(f'There is no split for validation; {files["test"].path} is taken for it.')
        image_folders = {
            name: image_folder(file.content.sample, file.path, root, work_dir) for name, file in files.items()
        }
    return _describe(place, 'COCO', files, image_folders, remarks)


def describe_files(
    place: str, form: str, paths: Mapping[str, Path], images: Mapping[str, str], remarks: Sequence[str]
) -> DataDescription:
    """Describe a dataset whose annotation files are known.

    Args:
        place: What the dataset is called by.
        form: What it was recognized as.
        paths: The files of COCO's form, by their splits.
        images: The folder of each split that the names of its images are in.
        remarks: Sentences on what was chosen or left out.

    Raises:
        UsageError: If a file has not that form.
    """
    files = {name: _read(path) for name, path in paths.items()}
    return _describe(place, form, files, images, remarks)


def _describe(
    place: str, form: str, files: Mapping[str, _File], image_folders: Mapping[str, str], remarks: Sequence[str]
) -> DataDescription:
    for name, file in files.items():
        check_places(file.content.leading_names, file.path, image_folders[name], Path(place))
    objects = {name: _objects(file) for name, file in files.items()}
    classes, left_out = _classes(files, objects)
    if left_out:
        said = f'{left_out!r} is left out: it is the name of a group of classes, and no object is one.'
        remarks = [*remarks, said]
    splits = {
        name: Split(
            str(files[name].path),
            image_folders[name],
            files[name].content.image_count,
            {label: objects[name][label] for label in classes},
        )
        for name in SPLITS
        if name in files
    }
    masks = sum(file.content.mask_count for file in files.values())
    without_mask = sum(file.content.annotation_count for file in files.values()) - masks if masks else 0
    return DataDescription(place, form, classes, splits, masks > 0 and not without_mask, remarks, without_mask)


def _annotation_files(root: Path, work_dir: str) -> dict[str, _File]:
    """Return the annotation files by their split; one that is alone may have none, ''."""
    if root.is_file():
        content = _content(root)
        return {} if content is None else {'': _File(root, content)}
    paths = [
        path
        for folder in folders(root, work_dir)
        for path in sorted(folder.glob('[!.]*.[jJ][sS][oO][nN]'))
        if re.split('[^a-z]', path.name.lower())[0] not in OTHER_TASKS
    ]
    if len(paths) > MOST_FILES:
        return {}
    files = [_File(path, content) for path in paths if (content := _content(path)) is not None]
    if len(files) == 1:
        return {'': files[0]}
    found: dict[str, _File] = {}
    for file in files:
        name = split_name(file.path, root)
        if name in found:
            which = f'of the split {name!r}' if name else 'whose names do not say which split they are'
            raise UsageError(
                f'data: {root} has two annotation files {which}, {found[name].path} and {file.path}; name one of them.'
            )
        found[name] = file
    return found


def _content(path: Path) -> CocoSummary | None:
    try:
        return summarize(path)
    except ValueError as error:
        raise UsageError(f'data: {path}: {error}') from error


def _read(path: Path) -> _File:
    content = _content(path)
    if content is None:
        raise UsageError(f"data: {path} has no images, annotations and categories; it must be of COCO's form.")
    return _File(path, content)


def image_folder(names: Sequence[str], annotations: Path, root: Path, work_dir: str) -> str:
    """Return the folder that an annotation file's images are in.

    Args:
        names: The names of its images.
        annotations: The file.
        root: The dataset's folder, or the file.
        work_dir: A folder to leave out.

    Raises:
        UsageError: If there is none, or it is not clear which.
    """
    if not names:
        raise UsageError(f'data: {annotations} has no images.')
    sample = list(names)[:: -(-len(names) // SAMPLE)]
    # A file that was named by itself may lie in a folder next to the images.
    roots = [root] if root.is_dir() else [root.parent, root.parent.parent]
    for place in roots:
        found = {path: sum(os.path.isfile(path / name) for name in sample) for path in folders(place, work_dir)}
        if most := max(found.values()):
            # The right folder may lack some images that another split's has by chance.
            likely = [folder for folder, count in found.items() if count * 2 >= most]
            return str(_likeliest(likely, annotations, place, sample))
    raise UsageError(f'data: the images of {annotations}, such as {sample[0]}, are in no folder of {roots[-1]}.')


def _likeliest(likely: list[Path], annotations: Path, root: Path, sample: list[str]) -> Path:
    """Return one of the folders that hold images of the same names, as those of two splits often do."""

    def distance(folder: Path) -> tuple:
        split = split_name(folder, root)
        is_map = has_word(folder, root, MAP_WORDS) and not has_word(folder, root, IMAGE_WORDS)
        return split != split_name(annotations, root), split != '', is_map, folder != annotations.parent

    best = min(likely, key=distance)
    for other in likely:
        if distance(other) == distance(best) and any((best / n).resolve() != (other / n).resolve() for n in sample):
            raise UsageError(
                f'data: it is not clear where the images of {annotations} are: {best} and {other} have files of the '
                'same names; name the folder of each split as the split.'
            )
    return best


def _names(file: _File) -> dict:
    """Return the names of a file's categories by their ids."""
    names = {}
    for category in file.content.categories:
        i, name = category.get('id'), category.get('name')
        if not isinstance(i, int) or not isinstance(name, str) or not name.strip():
            raise UsageError(f'data: {file.path}: a category needs a whole number as id, and a name; got {category}.')
        if i in names or name in names.values():
            raise UsageError(
                f'data: {file.path}: the category with id {i} and name {name!r} has the id or the name of another; '
                'delete one of them.'
            )
        names[i] = name
    if not names:
        raise UsageError(f'data: {file.path} has no categories.')
    return names


def _objects(file: _File) -> Counter:
    """Return how many objects of each category there are."""
    objects = file.content.objects
    return Counter({name: objects[i] for i, name in _names(file).items() if i in objects})


def _classes(files: Mapping[str, _File], objects: Mapping[str, Counter]) -> tuple[tuple[str, ...], str]:
    """Return the names of the classes, and the name of a category that is none."""
    first = files['train']
    names = list(_names(first).values())
    for file in files.values():
        if list(_names(file).values()) != names:
            raise UsageError(
                f'data: {file.path} has the classes {list(_names(file).values())}, but {first.path} has {names}; they '
                'must be the same in the same order.'
            )
    # Roboflow writes the dataset's name as a category, which all others have as supercategory.
    groups = [category.get('supercategory') for category in first.content.categories]
    groups = [group for group, name in zip(groups, names, strict=True) if group != name]
    used = set().union(*objects.values())
    left_out = next((name for name in names if name in groups and name not in used), '')
    return tuple(name for name in names if name != left_out), left_out


def _list(files: Mapping[str, _File]) -> str:
    return ' and '.join(str(file.path) for file in files.values())
