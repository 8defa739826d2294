"""Samples and batches of segmenters equal mmseg's with the switch `data`, from the same seed."""

import copy
import io
import random

import cv2
import mmcv
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms.utils import cache_random_params
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import MODELS, DefaultScope
from mmseg.models import SegDataPreProcessor as MMSegDataPreProcessor
from PIL import Image

from benchmarks.data.samples import difference
from convnext_dense.config import enable_speed
from convnext_dense.datasets.label_maps.decoding import decode_label_map
from convnext_dense.datasets.seg_preprocessor import SegDataPreProcessor
from convnext_dense.datasets.transforms.arrays import CODES
from convnext_dense.datasets.transforms.seg_crop import is_mixed
from convnext_dense.datasets.transforms.seg_resized_crop import resize_corner

NORMALIZE = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
SIDES = st.integers(1, 60)
RESIZES = st.builds(
    dict,
    type=st.just('RandomResize'),
    # mmseg cannot resize to nothing, nor pack a flipped image of one row.
    scale=st.tuples(st.integers(16, 60), st.integers(16, 60)),
    ratio_range=st.sampled_from([(0.5, 2.0), (1.0, 1.0), (0.25, 0.5)]),
    keep_ratio=st.booleans(),
    interpolation=st.sampled_from(['bilinear', 'bilinear', 'nearest', 'area']),
)
CROPS = st.builds(
    dict,
    type=st.just('RandomCrop'),
    crop_size=st.tuples(st.integers(2, 60), st.integers(2, 60)),
    cat_max_ratio=st.sampled_from([1.0, 0.9, 0.75, 0.3]),
    ignore_index=st.sampled_from([255, 0]),
)
FLIPS = st.builds(
    dict,
    type=st.just('RandomFlip'),
    prob=st.just([0.3, 0.3, 0.4]),
    direction=st.permutations(list(CODES)).map(list),
    swap_seg_labels=st.sampled_from([None, [(0, 1)]]),
)
DISTORTION = dict(type='PhotoMetricDistortion')


def without_and_with(pipeline):
    """Build a pipeline as it is, and with the switch."""
    model = dict(data_preprocessor=dict(type='SegDataPreProcessor', **NORMALIZE))
    cfg = Config(dict(default_scope='mmseg', model=model, train_dataloader=dict(dataset=dict(pipeline=pipeline))))
    changed = Config(copy.deepcopy(cfg.to_dict()))
    enable_speed(changed, ['data'])
    with DefaultScope.overwrite_default_scope('mmseg'):
        return [Compose(config.train_dataloader.dataset.pipeline) for config in (cfg, changed)]


def draw_sample(rng, height, width, channels=3, classes=4):
    """Return an image of blocks, its label map, and what a dataset says of them."""
    blocks = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, channels), dtype=np.uint8)
    image = np.ascontiguousarray(blocks.repeat(4, 0).repeat(4, 1)[:height, :width])
    label_map = rng.choice([*range(classes), 255], (height // 8 + 1, width // 8 + 1)).astype(np.uint8)
    label_map = np.ascontiguousarray(label_map.repeat(8, 0).repeat(8, 1)[:height, :width])
    image ^= rng.integers(0, 8, image.shape, dtype=np.uint8)
    return dict(
        img=image,
        img_shape=(height, width),
        ori_shape=(height, width),
        gt_seg_map=label_map,
        seg_fields=['gt_seg_map'],
        reduce_zero_label=False,
    )


def seeded(pipeline, sample, seed):
    """Return a pipeline's sample, and what each generator yields next."""
    random.seed(seed)
    np.random.seed(seed)
    return pipeline(copy.deepcopy(sample)), random.random(), np.random.random()


def assert_equal_samples(pipeline, sample, seed):
    (plain, *next_plain), (fast, *next_fast) = (seeded(way, sample, seed) for way in without_and_with(pipeline))
    assert difference(plain, fast) == 0
    assert next_plain == next_fast
    return fast


class TestSamples:
    @given(RESIZES, CROPS, FLIPS, st.integers(12, 50), st.integers(12, 50), st.integers(0, 2**32 - 1))
    @settings(max_examples=60, deadline=None)
    def test_of_the_recipes_transforms_are_mmsegs(self, resize, crop, flip, height, width, seed):
        sample = draw_sample(np.random.default_rng(seed), height, width)
        pipeline = [resize, crop, flip, DISTORTION, dict(type='PackSegInputs')]
        packed = assert_equal_samples(pipeline, sample, seed)
        assert packed['data_samples'].gt_sem_seg.data.dtype == torch.uint8

    @given(st.permutations([RESIZES, CROPS, FLIPS, st.just(DISTORTION)]), st.data(), st.integers(0, 2**32 - 1))
    @settings(max_examples=20, deadline=None)
    def test_in_any_order_are_mmsegs(self, order, data, seed):
        pipeline = [*(data.draw(transform) for transform in order), dict(type='PackSegInputs')]
        assert_equal_samples(pipeline, draw_sample(np.random.default_rng(seed), 40, 30), seed)

    @pytest.mark.parametrize('channels', [1, 2, 4, 6])
    @pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
    def test_of_other_images_are_mmsegs(self, channels, dtype):
        sample = draw_sample(np.random.default_rng(0), 40, 30, channels)
        sample['img'] = sample['img'].astype(dtype)
        resize = dict(type='RandomResize', scale=(80, 60), ratio_range=(0.5, 2.0), keep_ratio=True)
        crop = dict(type='RandomCrop', crop_size=(24, 24), cat_max_ratio=0.75)
        flip = dict(type='RandomFlip', prob=0.5)
        for seed in range(8):
            assert_equal_samples([resize, crop, flip, dict(type='PackSegInputs')], sample, seed)

    def test_of_label_maps_that_are_no_bytes_are_mmsegs(self):
        sample = draw_sample(np.random.default_rng(0), 40, 30)
        sample['gt_seg_map'] = sample['gt_seg_map'].astype(np.int32) * 10
        crop = dict(type='RandomCrop', crop_size=(24, 24), cat_max_ratio=0.5)
        packed = assert_equal_samples([crop, dict(type='RandomFlip', prob=1.0), dict(type='PackSegInputs')], sample, 0)
        assert packed['data_samples'].gt_sem_seg.data.dtype == torch.int64

    @pytest.mark.parametrize('brightness', [0, 1, 32, 255, 400])
    def test_every_value_is_distorted_as_by_mmseg(self, brightness):
        colors = np.stack(np.meshgrid(*[np.arange(0, 256, 5, dtype=np.uint8)] * 3), -1).reshape(-1, 52, 3)
        distortion = dict(DISTORTION, brightness_delta=brightness)
        for seed in range(12):
            assert_equal_samples([distortion], dict(img=colors), seed)

    def test_of_which_several_share_what_is_drawn_are_equal(self):
        resize = dict(type='RandomResize', scale=(80, 60), ratio_range=(0.5, 2.0), keep_ratio=True)
        _, fast = without_and_with([resize, dict(type='RandomCrop', crop_size=(24, 24))])
        sample = draw_sample(np.random.default_rng(0), 40, 30)
        with cache_random_params(fast.transforms):
            images = [fast(copy.deepcopy(sample))['img'] for _ in range(3)]
        assert all((image == images[0]).all() for image in images)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 6),
    st.sampled_from([0.3, 0.5, 0.75, 1.0]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=200, deadline=None)
def test_a_crop_is_mixed_if_sorting_its_classes_says_so(height, width, classes, ratio, seed):
    label_map = draw_sample(np.random.default_rng(seed), height, width, classes=classes)['gt_seg_map']
    values, counts = np.unique(label_map, return_counts=True)
    counts = counts[values != 255]
    assert is_mixed(label_map, ratio, 255) == (len(counts) > 1 and counts.max() / counts.sum() < ratio)


@given(SIDES, SIDES, st.floats(0.2, 4), st.floats(0.2, 4), st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_a_corner_is_that_of_the_whole_resized_image(height, width, down, across, rows, columns, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    size = max(1, round(height * down)), max(1, round(width * across))
    corner = max(1, round(size[0] * rows)), max(1, round(size[1] * columns))
    whole = cv2.resize(image, size[::-1])
    assert (resize_corner(image, size, corner) == whole[: corner[0], : corner[1]]).all()


@pytest.mark.parametrize(
    ('shape', 'size', 'corner'), [((26, 8), (26, 7), (4, 1)), ((53, 50), (52, 53), (8, 6)), ((1, 59), (1, 63), (1, 5))]
)
def test_a_corner_whose_part_keeps_its_size_is_that_of_the_whole_resized_image(shape, size, corner):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert (resize_corner(image, size, corner) == cv2.resize(image, size[::-1])[: corner[0], : corner[1]]).all()


def test_a_corner_of_half_the_size_is_that_of_the_whole_resized_image():
    # There OpenCV takes means of four pixels.
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    assert (resize_corner(image, (32, 48), (11, 13)) == cv2.resize(image, (48, 32))[:11, :13]).all()


def encode(image, **options):
    file = io.BytesIO()
    image.save(file, 'PNG', **options)
    return file.getvalue()


def gray():
    return np.random.default_rng(0).integers(0, 151, (9, 13), dtype=np.uint8)


def files():
    """Return files of label maps by name."""
    palette = Image.fromarray(gray()).convert('P')
    palette.putpalette(list(range(255, -1, -1)) * 3)
    return {
        'by Pillow': encode(Image.fromarray(gray())),
        'by OpenCV': cv2.imencode('.png', gray())[1].tobytes(),
        'transparent': encode(Image.fromarray(gray()), transparency=3),
        'palette': encode(palette),
        '16 bits': encode(Image.fromarray(gray().astype(np.uint16))),
        '1 bit': encode(Image.fromarray(gray() > 70)),
        'colors': encode(Image.fromarray(gray()).convert('RGB')),
        'alpha': encode(Image.fromarray(gray()).convert('LA')),
        'frames': encode(
            Image.fromarray(gray()), save_all=True, append_images=[Image.fromarray(255 - gray())], duration=9
        ),
        'TIFF': cv2.imencode('.tif', gray())[1].tobytes(),
    }


def outcome(decode, data):
    try:
        return decode(data)
    except Exception as error:  # noqa: BLE001 - Pillow raises anything
        return type(error)


class TestDecodeLabelMap:
    @pytest.mark.parametrize('name', files())
    def test_gives_what_mmcv_gives(self, name):
        data = files()[name]
        expected = mmcv.imfrombytes(data, flag='unchanged', backend='pillow')
        decoded = decode_label_map(data)
        assert decoded.dtype == expected.dtype
        assert np.array_equal(decoded, expected)

    @given(st.sampled_from(['by Pillow', 'by OpenCV']), st.data())
    @settings(max_examples=200, deadline=None)
    def test_gives_what_mmcv_gives_of_a_damaged_file(self, name, data):
        changed = bytearray(files()[name])
        start = data.draw(st.integers(0, len(changed) - 1))
        changed[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        expected = outcome(lambda data: mmcv.imfrombytes(data, flag='unchanged', backend='pillow'), bytes(changed))
        decoded = outcome(decode_label_map, bytes(changed))
        assert decoded is expected if isinstance(expected, type) else np.array_equal(decoded, expected)


def batches(sizes, seed, dtype=np.uint8):
    """Return a batch with label maps as mmseg packs them, and as the switch does."""
    rng = np.random.default_rng(seed)
    samples = [draw_sample(rng, *size) for size in sizes]
    for sample in samples:
        sample['img'] = sample['img'].astype(dtype)
    return [
        pseudo_collate([pipeline(copy.deepcopy(sample)) for sample in samples])
        for pipeline in without_and_with([dict(type='PackSegInputs')])
    ]


class TestBatches:
    @given(
        st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=3),
        st.sampled_from([dict(size=(64, 60)), dict(size_divisor=32), dict(size=(64, 60), pad_val=3, seg_pad_val=7)]),
        st.booleans(),
        st.booleans(),
        st.sampled_from([np.uint8, np.float32]),
        st.integers(0, 2**32 - 1),
    )
    @settings(max_examples=40, deadline=None)
    def test_are_those_of_mmseg(self, sizes, padding, normalizes, exchanges, dtype, seed):
        arguments = {**(NORMALIZE if normalizes else {}), **padding, 'bgr_to_rgb': exchanges}
        plain, fast = batches(sizes, seed, dtype)
        expected = MMSegDataPreProcessor(**arguments)(plain, training=True)
        found = SegDataPreProcessor(**arguments)(fast, training=True)
        assert difference(expected, found) == 0
        assert all(sample.gt_sem_seg.data.dtype == torch.int64 for sample in found['data_samples'])

    def test_have_labels_of_eight_bytes_in_testing(self):
        plain, fast = batches([(9, 9)], 0)
        expected, found = MMSegDataPreProcessor(**NORMALIZE)(plain), SegDataPreProcessor(**NORMALIZE)(fast)
        assert difference(expected, found) == 0
        assert found['data_samples'][0].gt_sem_seg.data.dtype == torch.int64

    def test_need_deviations_with_their_means(self):
        with pytest.raises(ValueError, match='mean and std must both be given'):
            SegDataPreProcessor(mean=[1.0, 2.0, 3.0])

    def test_of_images_larger_than_asked_for_are_an_error_as_with_mmseg(self):
        plain, fast = batches([(9, 9), (20, 9)], 0)
        for kind, batch in ((MMSegDataPreProcessor, plain), (SegDataPreProcessor, fast)):
            with pytest.raises(RuntimeError, match='stack expects each tensor to be equal size'):
                kind(size=(16, 16))(batch, training=True)


def test_a_derived_preprocessor_gets_mmsegs_label_maps():
    class Own(MMSegDataPreProcessor):
        pass

    MODELS.register_module('SegDataPreProcessor', module=Own)
    try:
        cfg = Config(
            dict(
                model=dict(data_preprocessor=dict(type='mmengine.SegDataPreProcessor', **NORMALIZE)),
                train_dataloader=dict(dataset=dict(pipeline=[dict(type='mmseg.PackSegInputs')])),
            )
        )
        enable_speed(cfg, ['data'])
    finally:
        del MODELS._module_dict['SegDataPreProcessor']
    assert cfg.model.data_preprocessor.type == 'mmengine.SegDataPreProcessor'
    assert cfg.train_dataloader.dataset.pipeline[0].type == 'mmseg.PackSegInputs'
