"""Recognizes a dataset by its files, whatever its format."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from convnext_dense.datasets.formats.coco.find import describe_files, find_coco
from convnext_dense.datasets.formats.description import DataDescription, MapDescription, PanopticDescription
from convnext_dense.datasets.formats.faults import tell_faults
from convnext_dense.datasets.formats.label_maps.describe import NoMapsError, describe_map_files, describe_maps
from convnext_dense.datasets.formats.label_maps.drawn import draw_maps
from convnext_dense.datasets.formats.label_maps.folders import find_map_files
from convnext_dense.datasets.formats.objects.boxes_to_masks import add_box_masks
from convnext_dense.datasets.formats.objects.convert import convert_objects
from convnext_dense.datasets.formats.objects.labelme import find_labelme
from convnext_dense.datasets.formats.objects.mask_files import find_mask_files
from convnext_dense.datasets.formats.objects.sources import ObjectDataset
from convnext_dense.datasets.formats.objects.voc import find_voc
from convnext_dense.datasets.formats.objects.yolo import find_yolo
from convnext_dense.datasets.formats.panoptic import describe_panoptic
from convnext_dense.datasets.formats.places import CONVERTED, data_name
from convnext_dense.datasets.formats.splits import complete_splits
from convnext_dense.datasets.formats.yaml_data import YamlData, find_yaml, yaml_maps, yaml_objects
from convnext_dense.errors import SHOWN_CHARACTERS, UsageError, describe
from convnext_dense.regular_files import special_kind

TASKS = ('boxes', 'instances', 'semantic', 'panoptic')


def describe_data(
    place: str,
    task: str,
    work_dir: str,
    boxes_to_masks: bool = False,
    report: Callable[[str], None] | None = None,
) -> DataDescription | MapDescription | PanopticDescription:
    """Describe a dataset of any format that is known. Formats that OpenMMLab does not read are converted.

    Args:
        place: A folder or a file. Of objects: COCO's form, YOLO, Pascal VOC, LabelMe, or a file for each mask. Of label
            maps: as in `describe_maps`, or objects with masks, which are drawn. Or a YAML file, as in `find_yaml`.
        task: 'boxes', 'instances', 'semantic' or 'panoptic': what is learned of it.
        work_dir: The run's folder. What is converted is in ``converted_data`` next to it.
        boxes_to_masks: Whether objects without a mask get their box as one.
        report: Called with a sentence on each annotation that cannot be read, which is left out then.

    Returns:
        A `MapDescription` for 'semantic', a `PanopticDescription` for 'panoptic', otherwise a `DataDescription`.

    Raises:
        UsageError: If it is no dataset, it is not clear which, or without `report` an annotation cannot be read.

    Example:
        >>> describe_data('data/nuclei', 'instances', 'work_dirs/nuclei')  # doctest: +SKIP
    """
    if task not in TASKS:
        raise UsageError(f'task: it must be one of {", ".join(TASKS)}; got {task!r}.')
    try:
        return _describe(place, task, work_dir, boxes_to_masks, report)
    except OSError as error:
        # Any file may be one that this user cannot read, or a path in a list no path.
        name = str(error.filename or place)[:SHOWN_CHARACTERS]
        raise UsageError(f'data: {name} cannot be read: {error.strerror or describe(error)}.') from error


def _describe(
    place: str,
    task: str,
    work_dir: str,
    boxes_to_masks: bool,
    report: Callable[[str], None] | None,
) -> DataDescription | MapDescription | PanopticDescription:
    if not Path(place).exists():
        raise UsageError(f'data: there is no {place}.')
    if kind := special_kind(place):
        raise UsageError(f'data: {place} is {kind}, and no file.')
    if task == 'panoptic':
        return describe_panoptic(place, work_dir)
    yaml = find_yaml(Path(place))
    folder = Path(work_dir).parent / CONVERTED / data_name(place)
    if task != 'semantic':
        data = _objects(place, task, work_dir, folder, boxes_to_masks, yaml, report)
        if data is None:
            raise UsageError(f'data: {_looked_for(Path(place), work_dir)}')
        return data
    try:
        if yaml is None and find_mask_files(Path(place), work_dir):
            raise NoMapsError(f'data: {place} has a file for each mask.')
        if yaml and (maps := yaml_maps(yaml)):
            return describe_map_files(place, yaml.file.parent, maps, work_dir, folder, report, yaml.classes)
        return describe_maps(place, work_dir, folder, report)
    except NoMapsError as error:
        data = _objects(place, 'instances', work_dir, folder, boxes_to_masks, yaml, report)
        if data is None:
            raise UsageError(str(error)) from error
    if not data.has_masks:
        count = f' ({data.without_mask})' if data.without_mask else ''
        raise UsageError(
            f'data: {place} ({data.format}) has objects without masks{count}, which a segmenter needs; take a '
            'detector, or set boxes_to_masks.'
        )
    return draw_maps(data, folder)


def _objects(
    place: str,
    task: str,
    work_dir: str,
    folder: Path,
    boxes_to_masks: bool,
    yaml: YamlData | None,
    report: Callable[[str], None] | None,
) -> DataDescription | None:
    """Return a dataset of objects, with masks if boxes are to be some, or None if there is none."""
    data = _find_objects(place, task, work_dir, folder, yaml, report)
    return add_box_masks(data, folder) if data and boxes_to_masks and not data.has_masks else data


def _find_objects(
    place: str,
    task: str,
    work_dir: str,
    folder: Path,
    yaml: YamlData | None,
    report: Callable[[str], None] | None,
) -> DataDescription | None:
    root = Path(place)
    if yaml is not None:
        found = yaml_objects(yaml, work_dir)
        if isinstance(found, DataDescription):
            return found
        return _convert(place, found, folder, report)
    found = find_yolo(root, work_dir) if root.suffix in ('.yaml', '.yml') else None
    if found is None and (data := find_coco(place, work_dir)):
        return data
    with_masks = task == 'instances'
    found = (
        found
        or find_yolo(root, work_dir)
        or find_voc(root, work_dir, with_masks)
        or find_labelme(root, work_dir)
        or find_mask_files(root, work_dir)
    )
    return _convert(place, found, folder, report) if found else None


def _convert(
    place: str,
    found: ObjectDataset,
    folder: Path,
    report: Callable[[str], None] | None,
) -> DataDescription:
    splits, said = complete_splits(found.splits, place)
    files, images, faults = convert_objects(replace(found, splits=splits), folder)
    tell_faults(faults, report)
    where = f'It was converted to COCO files, which are in {next(iter(files.values())).parent}.'
    return describe_files(place, found.format, files, dict.fromkeys(files, str(images)), [*found.remarks, *said, where])


def _looked_for(root: Path, work_dir: str) -> str:
    if root.is_file():
        return f"{root} has no images, annotations and categories, as COCO's form has, and is no data.yaml."
    if maps := find_map_files(root, work_dir):
        files = next(iter(maps.values()))
        return (
            f'{root} has label maps, such as in {files.maps}, and no objects; take a segmenter, or the task semantic.'
        )
    return (
        f"{root} holds no dataset of objects: no JSON files of COCO's form, no data.yaml of YOLO, no XML files of "
        'Pascal VOC, no JSON files of LabelMe, and no folders images and masks with a file for each mask.'
    )
