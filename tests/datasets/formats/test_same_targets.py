"""A dataset gives the same objects and label maps in each format that people bring it in."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.data.pictures import box, shapes
from helpers.data.written_formats import BINARY_FORMATS, MAP_FORMATS, OBJECT_FORMATS, ONE_CLASS_FORMATS
from PIL import Image
from pycocotools import mask as coco_mask

from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.errors import UsageError

FORMATS = [(name, write, 3) for name, write in OBJECT_FORMATS.items()]
FORMATS += [(name, write, 1) for name, write in ONE_CLASS_FORMATS.items()]
MAPS = [(name, write, 3) for name, write in MAP_FORMATS.items()]
MAPS += [(name, write, 1) for name, write in BINARY_FORMATS.items()]


def by_name(values):
    return dict(ids=[value[0] for value in values])


def written(write, classes, root):
    pictures, names = shapes(classes=classes)
    write(root / 'set', pictures, names)
    return str(root / 'set'), pictures, names


def objects_of(split, classes):
    """Return of each image the labels, boxes and masks of its objects."""
    content = json.loads(Path(split.annotations).read_text())
    labels = {c['id']: classes.index(c['name']) for c in content['categories'] if c['name'] in classes}
    found = {}
    for image in content['images']:
        path = Path(split.images, image['file_name'])
        assert path.is_file()
        assert Image.open(path).size == (image['width'], image['height'])
        found[path] = []
    paths = {image['id']: path for image, path in zip(content['images'], found, strict=True)}
    sizes = {image['id']: (image['height'], image['width']) for image in content['images']}
    for entry in content['annotations']:
        segmentation, size = entry.get('segmentation'), sizes[entry['image_id']]
        if isinstance(segmentation, list):
            segmentation = coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
        mask = None if segmentation is None else coco_mask.decode(segmentation).astype(bool)
        found[paths[entry['image_id']]].append((labels[entry['category_id']], entry['bbox'], mask))
    return found


def picture_of(path, pictures):
    return next(picture for picture in pictures if path.stem.endswith(picture.name))


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


@pytest.mark.parametrize(('name', 'write', 'classes'), FORMATS, **by_name(FORMATS))
def test_objects_are_the_same(name, write, classes, tmp_path):
    place, pictures, names = written(write, classes, tmp_path)
    data = describe_data(place, 'instances', str(tmp_path / 'runs/a'))
    assert data.has_masks
    assert sorted(data.classes) == sorted(names)
    for split in pictures:
        found = objects_of(data.splits[split], data.classes)
        assert len(found) == len(pictures[split]) == data.splits[split].image_count
        for path, objects in found.items():
            picture = picture_of(path, pictures[split])
            assert len(objects) == len(picture.objects)
            for (label, polygon), mask in zip(picture.objects, picture.masks(), strict=True):
                own = max(objects, key=lambda found, mask=mask: iou(found[2], mask))
                assert data.classes[own[0]] == names[label]
                assert iou(own[2], mask) > 0.98
                # A mask's box ends with its last pixel.
                assert np.abs(np.subtract(own[1], box(polygon))).max() <= (1.0 if name in ONE_CLASS_FORMATS else 0.5)


@pytest.mark.parametrize(('name', 'write', 'classes'), [*FORMATS, *MAPS], **by_name([*FORMATS, *MAPS]))
def test_label_maps_are_the_same(name, write, classes, tmp_path):
    place, pictures, names = written(write, classes, tmp_path)
    data = describe_data(place, 'semantic', str(tmp_path / 'runs/a'))
    assert not data.ignores_zero
    order = [*sorted(names, key=data.classes.index)]
    assert data.classes == ('background', *order)
    for split in pictures:
        found = data.splits[split]
        listed = Path(found.names).read_text().splitlines() if found.names else None
        stems = listed or sorted(
            path.name.removesuffix(data.image_ending)
            for path in Path(found.images).iterdir()
            if path.name.endswith(data.image_ending)
        )
        assert found.count == len(stems) == len(pictures[split])
        for stem in stems:
            image = Path(found.images, stem + data.image_ending)
            assert image.is_file()
            labels = np.asarray(Image.open(Path(found.maps, stem + data.map_ending)))
            expected = picture_of(Path(image.name), pictures[split]).label_map()
            assert (np.array([0, *(data.classes.index(names[i]) for i in range(classes))])[expected] == labels).all()


@pytest.mark.parametrize(('name', 'write', 'classes'), FORMATS, **by_name(FORMATS))
def test_nothing_is_written_to_the_dataset_and_a_second_start_writes_nothing(name, write, classes, tmp_path):
    place, _, _ = written(write, classes, tmp_path)

    def listed(folder):
        return {path: path.stat().st_mtime_ns for path in Path(folder).rglob('*') if path.name != 'lock'}

    before = listed(place)
    work_dir = str(tmp_path / 'runs/a')
    first = [str(describe_data(place, task, work_dir)) for task in ('instances', 'semantic')]
    written_first = listed(tmp_path / 'runs')
    second = [str(describe_data(place, task, work_dir)) for task in ('instances', 'semantic')]
    assert listed(place) == before
    assert first == second
    assert listed(tmp_path / 'runs') == written_first


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path):
    place, _, _ = written(OBJECT_FORMATS['YOLO'], 3, tmp_path)
    (tmp_path / 'runs').mkdir()
    (tmp_path / 'runs/converted_data').touch()
    with pytest.raises(UsageError, match=r'^work_dir: .*converted_data.* cannot be made: Not a directory'):
        describe_data(place, 'boxes', str(tmp_path / 'runs/a'))


def test_processes_that_start_at_once_convert_once(tmp_path):
    place, _, _ = written(OBJECT_FORMATS['YOLO'], 3, tmp_path)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: str(describe_data(place, 'semantic', str(tmp_path / 'runs/a'))), range(8)))
    assert len(set(found)) == 1


def test_outlines_through_the_borders_pixels_are_filled_with_them(tmp_path):
    mask = np.zeros((64, 96), np.uint8)
    mask[10:20, 30:50] = 1
    (outline,), _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    entry = dict(
        id=1, image_id=1, category_id=1, bbox=[30, 10, 20, 10], area=200, segmentation=[outline.ravel().tolist()]
    )
    for split in ('train', 'val'):
        (tmp_path / split).mkdir()
        Image.fromarray(mask).save(tmp_path / split / 'a.png')
        images = [dict(id=1, file_name='a.png', width=96, height=64)]
        content = dict(images=images, annotations=[entry], categories=[dict(id=1, name='cat')])
        (tmp_path / f'{split}.json').write_text(json.dumps(content))
    data = describe_data(str(tmp_path), 'semantic', str(tmp_path / 'runs/a'))
    assert (np.asarray(Image.open(Path(data.splits['train'].maps, 'a.png.png'))) == mask).all()
