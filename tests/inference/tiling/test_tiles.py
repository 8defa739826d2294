"""Tiles cover an image, and each object is found once, whole, whatever tiles it lies in."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convnext_dense.errors import UsageError
from convnext_dense.inference.tiling.merging import Found, merge
from convnext_dense.inference.tiling.tiles import predict_tiles, tile_boxes
from convnext_dense.results.image_input import ImageInput
from convnext_dense.results.result import Result

# Of an object, how much a tile must show for it to be found there.
SHOWN = 0.25
# Mixed with the background, its values are none of an object.
FIRST = 1000


def ellipse(size, box):
    """Return the mask of an ellipse."""
    left, top, right, bottom = box
    y, x = np.ogrid[: size[0], : size[1]]
    x, y = (x + 0.5 - left) / (right - left) - 0.5, (y + 0.5 - top) / (bottom - top) - 0.5
    return x**2 + y**2 <= 0.25


class Oracle:
    """Finds what is painted: each object has its number as its value. Values that are mixed at its edge are others."""

    def __init__(self, objects, size, has_masks=True):
        self.objects, self.size, self.has_masks = objects, size, has_masks
        self.areas = [int(ellipse(size, box).sum()) for box in objects]
        self.shapes = []

    def image(self):
        pixels = np.zeros((*self.size, 3), np.float32)
        for number, box in enumerate(self.objects, 1):
            pixels[ellipse(self.size, box)] = FIRST + number, FIRST - 3 * number, 0
        return dict(img=pixels)

    def predict(self, parts):
        for part in parts:
            first, second = np.moveaxis(part['img'].round(2) - FIRST, 2, 0)[:2]
            pixels = np.where(np.isclose(second, -3 * first), first, 0)
            self.shapes.append(pixels.shape)
            scale = np.prod(self.size) / np.prod(pixels.shape) if len(self.shapes) > self.tiles else 1
            found = [number for number in range(1, len(self.objects) + 1) if self.is_seen(pixels, number, scale)]
            masks = np.array([pixels == number for number in found]).reshape(-1, *pixels.shape)
            boxes = np.zeros((len(found), 4), np.float32)
            for i, mask in enumerate(masks):
                rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
                boxes[i] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            scores = np.array([0.5 + number / 1000 for number in found], np.float32)
            image = ImageInput('painted')
            yield Result(
                image, pixels.shape, ['round'], [(0, 0, 0)], boxes, np.zeros(len(found), np.int64), scores,
                masks if self.has_masks else None,
            )  # fmt: skip

    def is_seen(self, pixels, number, scale):
        area = (pixels == number).sum() * scale
        return area > SHOWN * self.areas[number - 1]

    def in_tiles(self, tile, overlap):
        self.tiles = len(tile_boxes(self.size, tile, overlap))
        whole = Result(ImageInput('painted'), self.size, ['round'], [(0, 0, 0)])
        return predict_tiles(self.image(), whole, tile, overlap, self.predict)


@st.composite
def scenes(draw):
    """Return the size of an image and objects in it that do not touch."""
    size = draw(st.integers(64, 400)), draw(st.integers(64, 400))
    cell = draw(st.sampled_from([30, 50, 90]))
    objects = []
    for row in range(size[0] // cell):
        for column in range(size[1] // cell):
            if draw(st.booleans()):
                width, height = (draw(st.integers(10, cell - 4)) for _ in range(2))
                left = column * cell + draw(st.integers(0, cell - 2 - width))
                top = row * cell + draw(st.integers(0, cell - 2 - height))
                objects.append((left, top, left + width, top + height))
    return size, objects


def check(size, objects, tile, overlap):
    """Check that each object is found once, and where it is."""
    result = Oracle(objects, size).in_tiles(tile, overlap)
    assert len(result) == len(objects)
    masks = np.asarray(result.masks)
    for box in objects:
        truth = ellipse(size, box)
        ious = (masks & truth).sum((1, 2)) / (masks | truth).sum((1, 2))
        assert ious.max() > 0.95, (box, ious)
        assert np.abs(result.boxes[ious.argmax()] - box).max() <= 2


class TestObjects:
    @settings(max_examples=15, deadline=None)
    @given(scene=scenes(), tile=st.sampled_from([100, 128]), overlap=st.sampled_from([0.5, 0.6]))
    def test_each_is_found_once(self, scene, tile, overlap):
        check(*scene, tile, overlap)

    @pytest.mark.full
    @settings(max_examples=300, deadline=None)
    @given(scene=scenes(), tile=st.sampled_from([100, 128, 200]), overlap=st.sampled_from([0.5, 0.6, 0.7]))
    def test_each_is_found_once_in_many_scenes(self, scene, tile, overlap):
        check(*scene, tile, overlap)

    def test_one_larger_than_the_overlap_is_whole(self):
        size, objects = (200, 300), [(40, 40, 260, 160)]
        oracle = Oracle(objects, size)
        oracle.is_seen = lambda pixels, number, scale: (pixels == number).sum() > 20
        result = oracle.in_tiles(100, 0.2)
        assert len(result) == 1
        assert np.abs(result.boxes[0] - objects[0]).max() <= 4

    def test_one_that_only_tiles_show_is_put_together(self):
        size, objects = (100, 180), [(60, 40, 120, 60)]
        oracle = Oracle(objects, size)
        # Too small in the reduced image.
        oracle.is_seen = lambda pixels, number, scale: scale == 1 and (pixels == number).sum() > 20
        result = oracle.in_tiles(100, 0.2)
        assert np.array_equal(result.boxes, [[60, 40, 120, 60]])
        assert np.array_equal(result.masks[0], ellipse(size, objects[0]))

    def test_one_between_two_of_another_tile_counts_once(self):
        areas = [(0, 0, 200, 200), (10, 0, 210, 200)]
        boxes = [(20, 0, 120, 100), (55, 0, 155, 100), (40, 0, 140, 100)]
        scores = [0.6, 0.5, 0.9]
        found = [
            Found(box, 0, score, None, tile, areas[tile], False)
            for box, score, tile in zip(boxes, scores, (0, 0, 1), strict=True)
        ]
        assert [part.score for part in merge(found)] == [0.9]

    def test_boxes_alone_are_merged_too(self):
        oracle = Oracle([(80, 20, 110, 50), (10, 20, 40, 50)], (100, 180), has_masks=False)
        result = oracle.in_tiles(100, 0.2)
        assert result.masks is None
        assert sorted(result.boxes.tolist()) == [[10, 20, 40, 50], [80, 20, 110, 50]]

    def test_an_image_of_one_tile_is_predicted_on_once(self):
        oracle = Oracle([(10, 10, 30, 30)], (64, 64))
        assert len(oracle.in_tiles(100, 0.2)) == 1
        assert oracle.shapes == [(64, 64)]


class TestLabelMaps:
    @settings(max_examples=20, deadline=None)
    @given(height=st.integers(1, 300), width=st.integers(1, 300), tile=st.integers(64, 120), overlap=st.floats(0, 0.9))
    def test_each_pixel_is_from_one_tile(self, height, width, tile, overlap):
        values = np.arange(height * width).reshape(height, width)

        def predict(parts):
            for part in parts:
                yield Result(ImageInput(''), part['img'].shape, [], [], semantic=part['img'])

        whole = Result(ImageInput(''), (height, width), [], [])
        assert np.array_equal(predict_tiles(dict(img=values), whole, tile, overlap, predict).semantic, values)


class TestTileBoxes:
    @settings(max_examples=50)
    @given(length=st.integers(1, 5000), tile=st.integers(64, 1024), overlap=st.floats(0, 0.9))
    def test_they_cover_all_and_overlap(self, length, tile, overlap):
        boxes = tile_boxes((length, 1), tile, overlap)
        assert boxes[0][1] == 0
        assert boxes[-1][3] == length
        for first, second in pairwise(boxes):
            assert first[3] - second[1] >= int(overlap * tile) - 1
            assert first[3] - first[1] == tile

    @pytest.mark.parametrize(
        ('tile', 'overlap', 'name'), [(10, 0.2, 'tile'), (100, 1.0, 'overlap'), (100, -0.1, 'overlap')]
    )
    def test_others_are_refused(self, segmenter, photos, tile, overlap, name):
        with pytest.raises(UsageError, match=f'{name}: it must be'):
            segmenter.predict(photos[0], tile=tile, overlap=overlap)


class TestModels:
    def test_a_tile_of_the_whole_image_changes_nothing(self, segmenter, photos):
        whole, tiled = segmenter.predict(photos[0]), segmenter.predict(photos[0], tile=256)
        assert np.array_equal(whole.semantic, tiled.semantic)

    def test_a_detector_predicts_in_tiles(self, detector, photos):
        result = detector.predict(photos[0], tile=96)
        assert len(result)
        assert np.asarray(result.masks).shape == (len(result), *result.size)
        assert (result.boxes[:, 2:] <= np.array(result.size[::-1]) + 1e-3).all()
        assert len(result.at_least(float(result.scores[0])).masks) >= 1
