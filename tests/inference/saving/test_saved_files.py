"""What predictions are saved as can be read by the tools that it is for."""

import io
import json
import tracemalloc

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from convnext_dense.datasets.formats.objects.sources import Source
from convnext_dense.datasets.formats.objects.yolo import read_yolo
from convnext_dense.inference.saving.coco_results import CocoResults
from convnext_dense.inference.saving.drawings import sheet_places
from convnext_dense.inference.saving.maps import PanopticResults, save_label_map
from convnext_dense.inference.saving.names import SavedNames
from convnext_dense.inference.saving.objects import crops, write_yolo, yolo_names
from convnext_dense.results.image_input import ImageInput, Video
from convnext_dense.results.masks import crop
from convnext_dense.results.result import Result

SIZE = (40, 60)
CLASSES = ['cat', 'black: "dog"/wolf', '猫']
COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
BOXES = np.array([[2, 3, 22, 33], [30.5, 10.25, 50.5, 20.25]], np.float32)


def found(has_masks, path=None):
    """Return a result of two objects, of which the second has a mask in two parts."""
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 3:33, 2:22] = True
    masks[1, 10:20, 30:45] = True
    masks[1, 12:14, 48:50] = True
    labels, scores = np.array([0, 2]), np.array([0.9, 0.31], np.float32)
    image = ImageInput('a.jpg', path)
    return Result(image, SIZE, CLASSES, COLORS, BOXES, labels, scores, masks if has_masks else None)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / 'a.png'
    Image.new('RGB', SIZE[::-1]).save(path)
    return path


class TestCocoResults:
    @pytest.mark.parametrize('has_masks', [True, False])
    def test_pycocotools_reads_them(self, has_masks, tmp_path):
        results = CocoResults(tmp_path / 'found.json', CLASSES)
        results.add(found(has_masks), 'x/ä.jpg')
        results.add(found(has_masks).at_least(0.5), 'b.jpg')
        results.add(found(has_masks).at_least(0.95), 'empty.jpg')
        results.close()
        coco = COCO(tmp_path / 'found.json')
        assert [image['file_name'] for image in coco.loadImgs([1, 2, 3])] == ['x/ä.jpg', 'b.jpg', 'empty.jpg']
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
        assert [coco.cats[part['category_id']]['name'] for part in annotations] == ['cat', '猫']
        assert [part['score'] for part in annotations] == [0.9, 0.31]
        assert annotations[1]['bbox'] == [30.5, 10.25, 20.0, 10.0]
        assert len(coco.getAnnIds(imgIds=[2])) == 1
        assert not coco.getAnnIds(imgIds=[3])
        if has_masks:
            masks = np.array([coco.annToMask(part) for part in annotations])
            assert np.array_equal(masks, found(True).masks)
            assert [part['area'] for part in annotations] == [600, 154]
            assert coco_mask.area(annotations[0]['segmentation']) == 600
        assert coco.loadRes(json.loads((tmp_path / 'found.json').read_text())['annotations']).getAnnIds() == [1, 2, 3]

    def test_nothing_found_is_a_file_too(self, tmp_path):
        CocoResults(tmp_path / 'found.json', CLASSES).close()
        assert COCO(tmp_path / 'found.json').dataset['images'] == []


class TestYolo:
    def test_boxes_are_read_as_they_were(self, photo, tmp_path):
        write_yolo(found(False), tmp_path / 'a.txt')
        read = read_yolo(CLASSES, 0, Source(photo, tmp_path / 'a.txt'))
        assert not read.faults
        assert [part.name for part in read.objects] == ['cat', '猫']
        boxes = [(x, y, x + w, y + h) for x, y, w, h in (part.box for part in read.objects)]
        assert np.allclose(boxes, BOXES, atol=1e-3)

    def test_masks_are_outlines_of_their_largest_parts(self, photo, tmp_path):
        write_yolo(found(True), tmp_path / 'a.txt')
        read = read_yolo(CLASSES, 0, Source(photo, tmp_path / 'a.txt'))
        assert not read.faults
        expected = found(True).masks.copy()
        expected[1, :, 48:] = False
        for part, mask in zip(read.objects, expected, strict=True):
            rle = coco_mask.merge(coco_mask.frPyObjects(part.segmentation, *SIZE))
            drawn = coco_mask.decode(rle).astype(bool)
            assert (drawn & mask).sum() / (drawn | mask).sum() > 0.85

    def test_names_survive_yaml(self):
        assert yaml.safe_load(yolo_names(CLASSES)) == dict(names=dict(enumerate(CLASSES)))

    def test_a_line_of_pixels_is_an_object(self, photo, tmp_path):
        mask = np.zeros((1, *SIZE), bool)
        mask[0, 5, 5:9] = True
        line = Result(None, SIZE, CLASSES, COLORS, BOXES[:1], np.array([0]), np.array([0.5]), mask)
        write_yolo(line, tmp_path / 'a.txt')
        assert len(read_yolo(CLASSES, 0, Source(photo, tmp_path / 'a.txt')).objects) == 1


class TestCrops:
    def test_they_are_parts_of_the_image_by_class(self):
        pixels = np.arange(SIZE[0] * SIZE[1] * 3).reshape(*SIZE, 3).astype(np.uint8)
        (name, first), (other, _) = crops(found(False), pixels)
        assert (name, other) == ('cat', '猫')
        assert np.array_equal(np.asarray(first), pixels[3:33, 2:22])

    def test_a_class_is_one_folder(self):
        odd = Result(None, SIZE, ['..', 'a/b'], COLORS, BOXES, np.array([0, 1]), np.array([0.5, 0.5]))
        assert [name for name, _ in crops(odd, np.zeros((*SIZE, 3), np.uint8))] == ['class-0', 'a-b']


class TestMaps:
    @pytest.mark.parametrize('counts_from_1', [False, True])
    def test_a_value_is_a_class_and_has_its_color(self, tmp_path, counts_from_1):
        labels = np.array([[0, 1], [2, 2]])
        save_label_map(labels, tmp_path / 'map.png', COLORS, counts_from_1)
        saved = Image.open(tmp_path / 'map.png')
        assert np.array_equal(np.asarray(saved), labels + counts_from_1)
        assert np.array_equal(np.asarray(saved.convert('RGB')), np.array(COLORS)[labels])

    def test_many_classes_need_16_bits(self, tmp_path):
        save_label_map(np.array([[0, 300]]), tmp_path / 'map.png', COLORS * 101)
        assert np.asarray(Image.open(tmp_path / 'map.png')).tolist() == [[0, 300]]

    def test_panoptic_segments_are_numbers(self, tmp_path):
        results = PanopticResults(tmp_path / 'panoptic.json', CLASSES)
        # A thing twice, another class, and no class.
        results.add(np.array([[1000, 2000, 1], [3, 2000, 1]]), 'a.jpg', 'a.png', tmp_path / 'a.png')
        results.close()
        content = json.loads((tmp_path / 'panoptic.json').read_text())
        colors = np.asarray(Image.open(tmp_path / 'a.png')).astype(int)
        ids = colors[..., 0] + 256 * colors[..., 1] + 65536 * colors[..., 2]
        segments = {part['id']: part for part in content['annotations'][0]['segments_info']}
        assert ids[1, 0] == 0
        assert set(ids.ravel().tolist()) == {0, *segments}
        assert segments[ids[0, 1]] == dict(id=ids[0, 1], category_id=1, area=2, bbox=[1, 0, 1, 2], iscrowd=0)
        assert segments[ids[0, 2]]['category_id'] == 2


def add_objects(results):
    results.add(found(False), 'clip.mp4')


def add_segments(results):
    results.add(np.array([[1000, 2000, 1], [3, 2000, 1]]), 'clip.mp4', 'clip/0.png', io.BytesIO())


@pytest.mark.parametrize(('kind', 'add'), [(CocoResults, add_objects), (PanopticResults, add_segments)])
def test_nothing_is_kept_of_a_frame_that_is_saved(kind, add, tmp_path):
    results = kind(tmp_path / 'found.json', CLASSES)
    add(results)
    tracemalloc.start()
    for _ in range(1000):
        add(results)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    results.close()
    # What waits to be written is 8 kB a list, in small parts.
    assert kept < 60_000
    saved = json.loads((tmp_path / 'found.json').read_text())
    assert [image['id'] for image in saved['images']] == list(range(1, 1002))
    assert {part['image_id'] for part in saved['annotations']} == set(range(1, 1002))


class TestNames:
    def test_folders_suffixes_and_frames_tell_files_apart(self):
        names = SavedNames(['in/a/1.jpg', 'in/b/1.jpg', 'in/b/1.png', 'in/c/clip.mp4'])
        paths = ['in/a/1.jpg', 'in/b/1.jpg', 'in/b/1.png']
        assert [str(names.stem(ImageInput(path, path))) for path in paths] == ['a/1.jpg', 'b/1.jpg', 'b/1.png']
        frame = ImageInput('', video=Video('in/c/clip.mp4', SIZE, 25.0, 9), frame=7)
        assert (names.original(frame), str(names.stem(frame))) == ('c/clip.mp4', 'c/clip/000007')
        webcam = ImageInput('', video=Video('0', SIZE, 25.0, 0))
        assert str(names.stem(webcam)) == 'webcam-0/000000'
        web = ImageInput('https://a.org/x/y.jpg?z=1', '/cache/y-0123.jpg')
        assert (names.original(web), str(names.stem(web))) == ('https://a.org/x/y.jpg?z=1', 'y-0123')


def test_a_sheet_shows_beginning_and_end():
    places = sheet_places(200)
    assert len(places) == 12
    assert {0, 199} <= places


def test_an_empty_mask_has_no_box():
    empty = Result(
        None, SIZE, CLASSES, COLORS, np.zeros((1, 4)), np.array([0]), np.array([1.0]), np.zeros((1, *SIZE), bool)
    )
    assert empty.box(0) == (0, 0, 0, 0)
    assert crop(empty.masks[0]).pixels.size == 0
