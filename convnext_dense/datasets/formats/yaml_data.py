"""Reads a YAML file of ours, which says where the images and annotations of each split are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from convnext_dense.datasets.formats.class_names import read_names
from convnext_dense.datasets.formats.coco.coco_split import split_coco
from convnext_dense.datasets.formats.coco.find import describe_files
from convnext_dense.datasets.formats.description import DataDescription
from convnext_dense.datasets.formats.label_maps.pairs import MapFiles, pair_names
from convnext_dense.datasets.formats.objects.labelme import read_labelme
from convnext_dense.datasets.formats.objects.sources import ObjectDataset, Source
from convnext_dense.datasets.formats.objects.voc import read_voc
from convnext_dense.datasets.formats.objects.yolo import read_yolo
from convnext_dense.datasets.formats.places import CONVERTED, SPLITS, images_of_list, is_image, walk_images
from convnext_dense.datasets.formats.splits import SEED, VAL_FRACTION
from convnext_dense.datasets.formats.yaml_files import are_names, read_yaml, shown
from convnext_dense.errors import UsageError

KEYS = ('classes', *SPLITS)
PARTS = ('images', 'annotations')


@dataclass(frozen=True)
class YamlData:
    """What a YAML file of ours says.

    Args:
        file: Its path.
        classes: The names of the classes; None if it has none.
        splits: The places of the images and of the annotations of each split.
    """

    file: Path
    classes: tuple[str, ...] | None
    splits: Mapping[str, tuple[Path, Path]]


def find_yaml(file: Path) -> YamlData | None:
    """Return what a YAML file of ours says; None if the file is another one.

    It has ``train``, and maybe ``val`` and ``test``, each with ``images`` (a folder, or a text file with a path in each
    line) and ``annotations`` (a JSON file of COCO's form, or a folder of label maps or of files of YOLO, Pascal VOC or
    LabelMe). ``classes`` is a list of names, or a file with a name in each line. Paths are relative to the file.

    Args:
        file: The file.

    Raises:
        UsageError: If it is one, and something is missing.

    Example:
        >>> find_yaml(Path('setup.cfg')) is None
        True
    """
    if not file.is_file() or file.suffix.lower() not in ('.yaml', '.yml'):
        return None
    content = read_yaml(file)
    if not isinstance(content, dict) or not any(isinstance(content.get(name), dict) for name in SPLITS):
        return None
    for key in content:
        if key not in KEYS:
            raise UsageError(f'data: {file}: there is no key {shown(key)}; the keys are {", ".join(KEYS)}.')
    splits = {name: _split(file, name, content[name]) for name in SPLITS if name in content}
    if 'train' not in splits:
        raise UsageError(f'data: {file} has no train, and what is learned of must be said.')
    return YamlData(file, _classes(file, content.get('classes')), splits)


def _split(file: Path, name: str, split: object) -> tuple[Path, Path]:
    if not isinstance(split, dict) or set(split) != set(PARTS) or not all(isinstance(v, str) for v in split.values()):
        raise UsageError(
            f'data: {file}: {name} must have the keys images and annotations, each a path; got {shown(split)}.'
        )
    places = [file.parent / split[part] for part in PARTS]
    for part, place in zip(PARTS, places, strict=True):
        if not place.exists():
            raise UsageError(f'data: {file}: {name}.{part} is {split[part]}, and there is no {place}.')
    return places[0], places[1]


def _classes(file: Path, classes: object) -> tuple[str, ...] | None:
    if classes is None:
        return None
    if isinstance(classes, str) and (file.parent / classes).is_file():
        return read_names(file.parent / classes)
    if isinstance(classes, list) and classes and are_names(classes) and len(set(map(str, classes))) == len(classes):
        return tuple(map(str, classes))
    raise UsageError(
        f'data: {file}: classes must be a list of names, each once, or a file of them; got {shown(classes)}.'
    )


def yaml_objects(data: YamlData, work_dir: str) -> DataDescription | ObjectDataset:
    """Return the dataset of objects that a file says.

    Args:
        data: What it says.
        work_dir: Where the files of a split that had to be made are written.

    Raises:
        UsageError: If the annotations are none of objects.
    """
    annotations = {name: place for name, (_, place) in data.splits.items()}
    if all(place.is_file() for place in annotations.values()):
        folders = {name: str(images) for name, (images, _) in data.splits.items()}
        if not all(Path(folder).is_dir() for folder in folders.values()):
            raise UsageError(f"data: {data.file}: the images of annotations of COCO's form must be a folder.")
        return _describe_coco(data, annotations, folders, work_dir)
    found = {name: _sources(data, *places) for name, places in data.splits.items()}
    kinds = {source.annotations.suffix.lower() for split in found.values() for source in split if source.annotations}
    readers = {
        '.xml': ('Pascal VOC', read_voc),
        '.json': ('LabelMe', partial(read_labelme, data.classes)),
        '.txt': ('YOLO', partial(read_yolo, data.classes or (), 0)),
    }
    if len(kinds) != 1 or not kinds <= readers.keys():
        raise UsageError(
            f"data: {data.file}: annotations must be JSON files of COCO's form, or folders of files of one kind "
            f'with the names of the images: .txt, .xml or .json; got {", ".join(sorted(kinds)) or "none"}.'
        )
    ((form, read),) = (readers[kind] for kind in kinds)
    if form == 'YOLO' and data.classes is None:
        raise UsageError(f"data: {data.file}: YOLO's annotations have no names; say them in classes.")
    return ObjectDataset(form, found, read, data.classes)


def _describe_coco(
    data: YamlData, annotations: Mapping[str, Path], folders: Mapping[str, str], work_dir: str
) -> DataDescription:
    files, said = dict(annotations), []
    if list(files) == ['train']:
        said = [f'There is one split: {VAL_FRACTION:.0%} of its images are for validation, drawn with seed {SEED}.']
        files = split_coco(files['train'], Path(work_dir, CONVERTED))
        folders = dict.fromkeys(files, folders['train'])
    elif 'val' not in files:
        files['val'], said = files['test'], ['There is no split for validation; test is taken for it.']
        folders = {**folders, 'val': folders['test']}
    found = describe_files(str(data.file), 'COCO', files, folders, said)
    if data.classes is not None and data.classes != found.classes:
        raise UsageError(
            f'data: {data.file} has the classes {", ".join(data.classes)}, and {files["train"]} has '
            f'{", ".join(found.classes)}; they must be the same in the same order.'
        )
    return found


def _sources(data: YamlData, images: Path, annotations: Path) -> list[Source]:
    files: dict[str, list[Path]] = {}
    for path in sorted(annotations.rglob('*')):
        if path.suffix in ('.txt', '.xml', '.json'):
            files.setdefault(path.stem, []).append(path)
    sources = [
        Source(image, _own(data, image, files.get(image.stem, []), annotations)) for image in _images(data, images)
    ]
    if not any(source.annotations for source in sources):
        raise UsageError(f'data: {data.file}: {annotations} has no file with the name of an image of {images}.')
    return sources


def _own(data: YamlData, image: Path, files: Sequence[Path], root: Path) -> Path | None:
    """Return the file of an image, of those in `root` that have its name: the one in folders of the same names."""
    if len(files) < 2:
        return next(iter(files), None)

    def shared(file: Path) -> int:
        inner = file.relative_to(root).parent.parts
        return len(inner) if image.parent.parts[-len(inner) :] == inner or not inner else -1

    best = max(files, key=shared)
    if other := next((file for file in files if file != best and shared(file) == shared(best)), None):
        raise UsageError(
            f'data: {data.file}: {best} and {other} have the name of the image {image}, and one can be its own.'
        )
    return best


def _images(data: YamlData, place: Path) -> Sequence[Path]:
    found = walk_images(place) if place.is_dir() else images_of_list(place, data.file.parent)
    if not found:
        raise UsageError(f'data: {data.file}: there are no images in {place}.')
    return found


def yaml_maps(data: YamlData) -> dict[str, MapFiles] | None:
    """Return the images and label maps that a file says; None if its annotations are no label maps.

    Raises:
        UsageError: If images and label maps have other names.
    """
    found = {}
    for name, (images, annotations) in data.splits.items():
        if not annotations.is_dir() or not any(is_image(path) for path in annotations.rglob('*')):
            return None
        root = images if images.is_dir() else data.file.parent
        names = [str(path.relative_to(root)) for path in _images(data, images)]
        maps = [str(path.relative_to(annotations)) for path in walk_images(annotations)]
        pair = pair_names(root, names, annotations, maps)
        if pair is None:
            raise UsageError(f'data: {data.file}: the label maps of {name} have not the names of its images.')
        found[name] = pair
    return found
