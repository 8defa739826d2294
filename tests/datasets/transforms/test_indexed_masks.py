"""Masks as crops and maps equal mmdet's arrays bit for bit, whatever happens to the image."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.datasets.transforms import LoadAnnotations as MMDetLoadAnnotations
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, mask_target
from mmengine.config import ConfigDict
from pycocotools import mask as coco_mask

from convnext_dense.datasets.transforms.det_annotations import LoadAnnotations
from convnext_dense.datasets.transforms.indexed_masks import IndexedMasks, _draw_on
from convnext_dense.training.steps.batch_as_data import from_data, to_data

OPTIONS = dict(with_bbox=False, with_label=False, with_mask=True)
SQUARE = [[2.0, 2.0, 8.0, 2.0, 8.0, 6.0, 2.0, 6.0]]
SIDES = st.integers(1, 40)
# Also outside of the image, and on the borders of pycocotools' fifths of a pixel.
COORDINATES = st.one_of(st.floats(-20, 60, width=32), st.integers(-100, 300).map(lambda tenths: tenths / 10))
CORNERS = st.lists(COORDINATES, min_size=6, max_size=14).map(lambda values: values[: len(values) // 2 * 2])
POLYGONS = st.lists(CORNERS, min_size=1, max_size=3)


@st.composite
def run_lengths(draw, size, kinds=('compressed', 'written')):
    """Draw the run lengths of noise, of a block, of nothing or of everything."""
    pixels = np.zeros(size, np.uint8, order='F')
    kind = draw(st.sampled_from(['noise', 'block', 'empty', 'full']))
    if kind == 'noise':
        pixels[:] = np.random.default_rng(draw(st.integers(0, 99))).random(size) < 0.5
    elif kind == 'block':
        rows, columns = (sorted(draw(st.tuples(*[st.integers(0, side)] * 2))) for side in size)
        pixels[slice(*rows), slice(*columns)] = 1
    else:
        pixels[:] = kind == 'full'
    if draw(st.sampled_from(kinds)) == 'compressed':
        encoded = coco_mask.encode(pixels)
        return dict(size=list(size), counts=encoded['counts'].decode())
    flat = pixels.flatten(order='F')
    borders = np.flatnonzero(np.diff(flat, prepend=np.uint8(0)))
    counts = np.diff(borders, prepend=0, append=len(flat)).tolist()
    # A run that a person split in two.
    return dict(size=list(size), counts=[*counts[:1], 0, 0, *counts[1:]])


@st.composite
def loaded(draw):
    """Draw annotations, and return mmdet's masks of them and ours."""
    size = draw(st.tuples(SIDES, SIDES))
    annotations = draw(st.lists(st.one_of(POLYGONS, run_lengths(size)), max_size=4))
    return load(annotations, size)


def load(annotations, size):
    masks = []
    for kind in (MMDetLoadAnnotations, LoadAnnotations):
        instances = [dict(mask=copy.deepcopy(mask), ignore_flag=0) for mask in annotations]
        masks.append(kind(**OPTIONS)(dict(ori_shape=size, instances=instances))['gt_masks'])
    return masks


@st.composite
def operations(draw):
    """Draw a chain of what pipelines do to masks."""
    boxes = st.tuples(*[st.integers(0, 60)] * 2).map(sorted)
    operation = st.one_of(
        st.tuples(st.just('flip'), st.sampled_from(['horizontal', 'vertical', 'diagonal'])),
        st.tuples(st.just('resize'), st.tuples(SIDES, SIDES)),
        st.tuples(
            st.just('rescale'), st.one_of(st.floats(0.3, 2.5), st.tuples(st.integers(8, 60), st.integers(8, 60)))
        ),
        st.tuples(st.just('crop'), st.tuples(boxes, boxes).map(lambda pair: np.array(pair).T.flatten())),
        st.tuples(st.just('pad'), st.tuples(SIDES, SIDES)),
        st.tuples(st.just('choose'), st.lists(st.integers(0, 3), max_size=4)),
    )
    return draw(st.lists(operation, max_size=6))


def apply(masks, name, value):
    """Apply one operation to mmdet's masks, or to ours; None if mmdet cannot."""
    if name == 'crop' and (value[0] >= masks.width or value[1] >= masks.height):
        return None
    if name == 'pad':
        value = (masks.height + value[0], masks.width + value[1])
    if name == 'choose':
        return masks[np.array([i for i in value if i < len(masks)], np.int64)]
    if (
        name == 'rescale'
        and min(np.array([masks.height, masks.width])) * (value if isinstance(value, float) else 1) < 2
    ):
        return None
    return getattr(masks, name)(value)


def assert_equal(ours, others):
    assert isinstance(ours, IndexedMasks)
    assert ours.is_compact
    assert (len(ours), ours.height, ours.width) == (len(others), others.height, others.width)
    arrays = ours.drawn()
    assert (arrays.shape, arrays.dtype) == (others.masks.shape, others.masks.dtype)
    assert (arrays == others.masks).all()


class TestIndexedMasks:
    @given(loaded(), operations())
    @settings(max_examples=150, deadline=None)
    def test_equal_mmdets_after_any_chain(self, pair, chain):
        others, ours = pair
        for name, value in chain:
            changed = apply(others, name, value)
            if changed is not None:
                others, ours = changed, apply(ours, name, value)
        assert_equal(ours, others)
        assert_equal(pickle.loads(pickle.dumps(ours)), others)
        assert (ours.areas.dtype, ours.areas.tolist()) == (others.areas.dtype, others.areas.tolist())
        for kind in ('hbox', HorizontalBoxes):
            assert torch.equal(ours.get_bboxes(kind).tensor, others.get_bboxes(kind).tensor)
        assert torch.equal(ours.to_tensor(torch.bool, 'cpu'), others.to_tensor(torch.bool, 'cpu'))
        # As on a GPU.
        drawn = _draw_on('cpu', ours._crops, ours._rows, ours._columns)
        assert torch.equal(drawn, others.to_tensor(torch.uint8, 'cpu'))
        assert ours.is_compact

    @given(loaded(), st.integers(0, 99))
    @settings(max_examples=40, deadline=None)
    def test_targets_are_those_of_mmdet(self, pair, seed):
        others, ours = (masks.resize((50, 60)) for masks in pair)
        draw = torch.Generator().manual_seed(seed)
        objects = torch.randint(max(len(others), 1), (12 * bool(len(others)),), generator=draw)
        corners = torch.rand(len(objects), 2, 2, generator=draw) * 70 - 5
        boxes = torch.cat([corners.amin(1), corners.amax(1)], dim=1)
        for options in (dict(mask_size=7), dict(mask_size=(5, 9), soft_mask_target=True)):
            targets = [mask_target([boxes], [objects], [masks], ConfigDict(options)) for masks in (others, ours)]
            assert torch.equal(*targets)
        assert ours.is_compact

    def test_fewer_bytes_are_sent(self):
        others, ours = (masks.resize((800, 1066)) for masks in load([SQUARE] * 7, (48, 64)))
        assert 100 * len(pickle.dumps(ours)) < len(pickle.dumps(others))

    def test_those_left_out_are_not_sent(self):
        _, ours = load([[[0, 0, 1000, 0, 1000, 1000, 0, 1000]], SQUARE], (1000, 1000))
        assert len(pickle.dumps(ours[1:])) < len(pickle.dumps(ours)) / 10

    @pytest.mark.parametrize('index', [1, slice(0, 2), [0, 2], np.array([True, False, True]), torch.tensor([2, 0])])
    def test_any_index_chooses_what_mmdets_does(self, index):
        others, ours = load([SQUARE, [[0, 0, 3, 0, 3, 3]], [[5, 5, 9, 5, 9, 9]]], (10, 12))
        assert_equal(ours[index], others[index])

    @pytest.mark.parametrize(
        ('name', 'arguments'),
        [
            ('translate', ((10, 14), 3)),
            ('rotate', ((10, 12), 30)),
            ('shear', ((10, 12), 0.5)),
            ('expand', (20, 24, 3, 4)),
            ('pad', ((12, 14), 1)),
            ('resize', ((20, 30), 'bilinear')),
        ],
    )
    def test_other_operations_are_mmdets(self, name, arguments):
        others, ours = (getattr(masks, name)(*arguments) for masks in load([SQUARE] * 2, (10, 12)))
        assert type(ours) is BitmapMasks
        assert (ours.masks == others.masks).all()
        assert (ours.height, ours.width) == (others.height, others.width)

    def test_masks_of_both_kinds_are_joined(self):
        others, ours = load([SQUARE], (10, 12))
        joined = ours.cat([ours, others])
        assert (joined.masks == others.cat([others, others]).masks).all()

    def test_are_made_of_arrays_as_mmdets_are(self):
        others, ours = load([SQUARE], (10, 12))
        made = type(ours)(list(others.masks), 10, 12)
        assert (made.masks == others.masks).all()
        assert (made.flip().masks == others.flip().masks).all()

    def test_are_saved_with_a_step_as_mmdets_are(self):
        others, ours = load([SQUARE], (10, 12))
        saved = from_data(to_data(dict(masks=ours)))['masks']
        assert type(saved) is BitmapMasks
        assert (saved.masks == others.masks).all()
        assert ours.is_compact

    def test_what_is_written_into_the_arrays_stays(self):
        others, ours = load([SQUARE, SQUARE], (10, 12))
        for masks in (others, ours):
            masks.masks[:, :5] = 0
            masks.masks = np.where(masks.masks[:, :, :4].any(), masks.masks, 1)
        assert not ours.is_compact
        for masks in (ours, pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
            assert (masks.masks == others.masks).all()
        assert (ours.flip()[1:].masks == others.flip()[1:].masks).all()
        assert (ours.areas == others.areas).all()
        assert torch.equal(ours.get_bboxes('hbox').tensor, others.get_bboxes('hbox').tensor)


class TestLoadAnnotations:
    @pytest.mark.parametrize(
        'mask',
        [
            [],
            [[1, 2, 3]],
            dict(size=[10, 12]),
            dict(size=[10, 12], counts=7),
            [[1.5, 1, 4, 1, 4, 4], [7, 7, 9, 7, 9, 9, 7, 9]],
        ],
    )
    def test_ignores_the_objects_that_mmdet_ignores(self, mask):
        results = []
        for kind in (MMDetLoadAnnotations, LoadAnnotations):
            instances = [dict(mask=copy.deepcopy(value), ignore_flag=0) for value in (mask, SQUARE)]
            results.append(kind(**OPTIONS)(dict(ori_shape=(10, 12), instances=instances)))
        others, ours = results
        assert_equal(ours['gt_masks'], others['gt_masks'])
        assert (ours['gt_ignore_flags'] == others['gt_ignore_flags']).all()

    @pytest.mark.parametrize('counts', ['~~', '5', '00'])
    def test_leaves_odd_run_lengths_to_mmdet(self, counts):
        others, ours = load([dict(size=[10, 12], counts=counts), SQUARE], (10, 12))
        assert type(ours) is BitmapMasks
        # Where the lengths end early, pycocotools leaves what was in memory.
        assert (ours.masks[1] == others.masks[1]).all()

    def test_fails_where_mmdet_does(self):
        for kind in (MMDetLoadAnnotations, LoadAnnotations):
            instances = [
                dict(mask=dict(size=[9, 12], counts=[0, 108]), ignore_flag=0),
                dict(mask=SQUARE, ignore_flag=0),
            ]
            with pytest.raises(ValueError, match='same shape'):
                kind(**OPTIONS)(dict(ori_shape=(10, 12), instances=instances))

    def test_polygons_stay_polygons_if_they_are_asked_for(self):
        load = LoadAnnotations(**OPTIONS, poly2mask=False)
        masks = load(dict(ori_shape=(10, 12), instances=[dict(mask=SQUARE, ignore_flag=0)]))['gt_masks']
        assert type(masks).__name__ == 'PolygonMasks'
