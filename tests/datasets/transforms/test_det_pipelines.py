"""Samples and batches of detectors equal mmdet's with the switch `data`, from the same seed."""

import copy
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DATASETS, DefaultScope

from benchmarks.data.samples import difference
from convnext_dense.config import enable_speed, load_config
from convnext_dense.config.tree import leaf_datasets, typed_parts

DEMO = dict(
    data_root='data/demo/coco/',
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img='train2017/'),
    metainfo=dict(classes=('circle', 'square', 'triangle')),
    backend_args=None,
)
MASK_RCNN = 'configs/mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py'
# Pipelines whose masks stay compact to the end, and others.
COMPACT = [
    MASK_RCNN,
    'configs/mask2former/mask2former_convnext-t_8xb2-lsj-50e_coco.py',
]
OTHERS = [
    'mmdet::simple_copy_paste/mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_32xb2-ssj-scp-90k_coco.py',
    'mmdet::rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py',
]


def seeded(load, index):
    """Return a sample, and what each generator yields next."""
    random.seed(index)
    np.random.seed(index)
    torch.manual_seed(index)
    return load(index), random.random(), np.random.random(), torch.rand(1)


def both(cfg):
    """Build a config's training data without the switch and with it."""
    changed = Config(copy.deepcopy(cfg.to_dict()))
    enable_speed(changed, ['data'])
    with DefaultScope.overwrite_default_scope('mmdet'):
        return [DATASETS.build(config.train_dataloader.dataset) for config in (cfg, changed)]


@pytest.fixture
def on_data(demo_data, monkeypatch, pytestconfig):
    """Load a config for the demo's data, with images of about 200 pixels."""
    monkeypatch.chdir(demo_data)

    def load(name, **data):
        cfg = load_config(name if name.startswith('mmdet::') else str(pytestconfig.rootpath / name))
        for dataset in leaf_datasets(cfg.train_dataloader.dataset):
            dataset.update(DEMO | data)
        for transform in typed_parts(cfg.train_dataloader.dataset):
            for key in ('scale', 'img_scale', 'crop_size', 'size'):
                if key in transform:
                    transform[key] = tuple(max(side // 5, 1) for side in transform[key])
            if 'scales' in transform:
                transform.scales = [(short // 5, long // 5) for short, long in transform.scales]
        return cfg

    return load


class TestSamples:
    @pytest.mark.parametrize('name', COMPACT)
    def test_equal_mmdets_in_recipes(self, on_data, name):
        theirs, ours = both(on_data(name))
        for index in range(len(theirs)):
            found = seeded(ours.__getitem__, index)
            assert found[0]['data_samples'].gt_instances.masks.is_compact
            assert found[0]['inputs'].is_contiguous()
            assert difference(found, seeded(theirs.__getitem__, index)) == 0

    @pytest.mark.parametrize('name', OTHERS)
    def test_equal_mmdets_where_images_are_mixed(self, on_data, name):
        theirs, ours = both(on_data(name))
        objects = 0
        for index in range(8):
            found = seeded(theirs.__getitem__, index)
            assert difference(seeded(ours.__getitem__, index), found) == 0
            objects += len(found[0]['data_samples'].gt_instances)
        assert objects

    @pytest.mark.full
    def test_equal_mmdets_on_nuclei(self, on_data, pytestconfig):
        root = pytestconfig.rootpath
        places = [folder / 'data/nuclei/coco' for folder in (root, root.parent / 'shared')]
        found = [place for place in places if place.is_dir()]
        if not found:
            pytest.skip('there are no nuclei in data/nuclei/coco')
        theirs, ours = both(on_data(MASK_RCNN, data_root=str(found[0]), metainfo=dict(classes=('nucleus',))))
        assert len(theirs) > 50
        for index in range(len(theirs)):
            assert difference(*(seeded(data.__getitem__, index) for data in (ours, theirs))) == 0


@st.composite
def pipelines(draw):
    """Draw flips, scales and crops."""
    side = st.integers(16, 90)
    flip = st.fixed_dictionaries(
        dict(
            type=st.just('RandomFlip'),
            prob=st.floats(0, 1),
            direction=st.sampled_from(['horizontal', 'vertical', 'diagonal', ['horizontal', 'vertical']]),
        )
    )
    resize = st.fixed_dictionaries(
        dict(type=st.just('Resize'), scale=st.tuples(side, side), keep_ratio=st.booleans()),
    )
    scale = st.fixed_dictionaries(
        dict(
            type=st.just('RandomResize'),
            scale=st.tuples(side, side),
            ratio_range=st.just((0.3, 2.0)),
            keep_ratio=st.booleans(),
        )
    )
    crop = st.fixed_dictionaries(
        dict(
            type=st.just('RandomCrop'),
            crop_size=st.tuples(side, side).map(sorted).map(tuple),
            crop_type=st.sampled_from(['absolute', 'absolute_range']),
            recompute_bbox=st.booleans(),
            allow_negative_crop=st.just(True),
        )
    )
    pad = st.fixed_dictionaries(dict(type=st.just('Pad'), size_divisor=st.sampled_from([8, 32])))
    steps = draw(st.lists(st.one_of(flip, resize, scale, crop, pad), max_size=5))
    load = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
    return [load, *steps, dict(type='FilterAnnotations', by_mask=True, keep_empty=False), dict(type='PackDetInputs')]


class TestProperties:
    @given(pipelines(), st.integers(0, 1000), st.sampled_from([np.uint8, np.float32]))
    @settings(max_examples=60, deadline=None)
    def test_samples_equal_mmdets_for_any_flips_crops_and_scales(self, steps, seed, dtype):
        rng = np.random.default_rng(seed)
        size = tuple(int(side) for side in rng.integers(20, 80, 2))
        image = rng.integers(256, size=(*size, 3)).astype(dtype)
        instances = []
        for _ in range(4):
            corners = rng.uniform(-0.1, 1.1, (5, 2)) * size[::-1]
            box = [*corners.min(axis=0), *corners.max(axis=0)]
            instances.append(
                dict(bbox=box, bbox_label=1, mask=[corners.flatten().tolist()], ignore_flag=int(rng.integers(2)))
            )
        cfg = Config(dict(default_scope='mmdet', train_dataloader=dict(dataset=dict(pipeline=steps))))
        changed = Config(cfg.to_dict())
        enable_speed(changed, ['data'])
        samples = []
        for config in (cfg, changed):
            with DefaultScope.overwrite_default_scope('mmdet'):
                pipeline = Compose(config.train_dataloader.dataset.pipeline)
            given = dict(img=image.copy(), img_shape=size, ori_shape=size, instances=copy.deepcopy(instances))
            samples.append(seeded(lambda _, pipeline=pipeline, given=given: pipeline(given), seed))
        assert difference(*samples) == 0
