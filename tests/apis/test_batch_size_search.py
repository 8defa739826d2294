"""`--batch-size auto`: the largest batch that fits, found by a model that is thrown away."""

import logging
import random
import re

import numpy as np
import pytest
import torch
from helpers.commands import run_command
from helpers.demo_runs import CONFIGS, DETECTOR, FEW_WORKERS, SEGMENTER, detector_options
from helpers.small_device import as_a_gpu, device_that_holds
from hypothesis import given
from hypothesis import strategies as st
from mmdet.models import FasterRCNN, MaskRCNN
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmseg.models import EncoderDecoder

from convnext_dense.apis.batch_size import find_batch_size
from convnext_dense.config import load_config
from convnext_dense.errors import RunError, UsageError
from convnext_dense.training.memory.batch_probe import largest_that_fits

FULL = pytest.mark.full


@pytest.fixture(autouse=True)
def _in_the_folder_of_the_data(demo_data, monkeypatch):
    monkeypatch.chdir(demo_data)


def config(path=DETECTOR, batch_size=1, **options) -> Config:
    # 16 images are 48 samples, so an epoch may have batches of 9.
    dataset = dict(_delete_=True, type='RepeatDataset', times=3)
    dataset['dataset'] = load_config(str(path)).train_dataloader.dataset.to_dict()
    options = {'train_dataloader.dataset': dataset, 'train_dataloader.batch_size': batch_size, **options}
    return load_config(str(path), cfg_options=options)


class TestTheNumber:
    @given(capacity=st.integers(0, 300), start=st.integers(1, 64), limit=st.integers(1, 200))
    def test_is_the_largest_that_fits_and_is_allowed(self, capacity, start, limit):
        asked = []

        def fits(size):
            assert all(size < other for other in asked if other > capacity)
            asked.append(size)
            return size <= capacity

        assert largest_that_fits(fits, start, limit) == min(capacity, limit)
        assert len(asked) == len(set(asked)) <= 16

    @pytest.mark.parametrize(
        ('capacity', 'expected'),
        [(6, 6), pytest.param(1, 1, marks=FULL), pytest.param(99, 9, marks=FULL)],
    )
    def test_is_what_the_memory_of_the_device_holds(self, capacity, expected):
        with as_a_gpu(), device_that_holds(capacity, MaskRCNN):
            assert find_batch_size(config()) == expected

    @FULL
    def test_is_found_for_segmenters(self):
        with as_a_gpu(), device_that_holds(3, EncoderDecoder) as calls:
            assert find_batch_size(config(SEGMENTER)) == 3
        assert {shape[-2:] for shape in calls} == {(128, 128)}

    @FULL
    def test_is_smaller_than_the_configs_if_that_does_not_fit(self):
        with as_a_gpu(), device_that_holds(2, MaskRCNN):
            assert find_batch_size(config(batch_size=8)) == 2

    def test_is_none_if_a_single_image_does_not_fit(self):
        with as_a_gpu(), device_that_holds(0, MaskRCNN), pytest.raises(RunError, match='not even one of the largest'):
            find_batch_size(config())

    def test_is_the_configs_without_a_gpu(self, caplog):
        caplog.set_level(logging.INFO)
        assert find_batch_size(config(batch_size=7)) == 7


class TestTheBatch:
    def test_is_of_the_largest_image_and_the_most_objects(self):
        resize = dict(type='RandomChoiceResize', scales=[(64, 64), (160, 160)], keep_ratio=True)
        cfg = config()
        pipeline = cfg.train_dataloader.dataset.dataset.pipeline
        pipeline[2] = resize
        objects = []
        original = MaskRCNN.loss

        def loss(self, inputs, data_samples):
            objects.append({len(sample.gt_instances) for sample in data_samples})
            return original(self, inputs, data_samples)

        with as_a_gpu(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(MaskRCNN, 'loss', loss)
            with device_that_holds(2, MaskRCNN) as calls:
                find_batch_size(cfg)
        assert {shape[-2:] for shape in calls} == {(160, 160)}
        from mmengine.registry import DATASETS, DefaultScope

        with DefaultScope.overwrite_default_scope('mmdet'):
            dataset = DATASETS.build(cfg.train_dataloader.dataset.dataset)
        assert objects[0] == {max(len(dataset.get_data_info(i)['instances']) for i in range(len(dataset)))}

    @pytest.mark.parametrize('kind', ['convnext_dense.BatchRandomResize', 'mmdet.BatchSyncRandomResize'])
    def test_is_of_the_largest_size_to_which_batches_are_resized(self, kind):
        # mmdet's resizes no masks, and ours refuses them.
        cfg = config(CONFIGS / 'demo' / 'faster-rcnn_convnext-demo_fpn_demo-coco.py')
        cfg.model.data_preprocessor.batch_augments = [dict(type=kind, random_size_range=(64, 192))]
        with as_a_gpu(), device_that_holds(2, FasterRCNN) as calls:
            find_batch_size(cfg)
        assert {shape[-2] for shape in calls} == {192}

    @FULL
    def test_comes_with_the_optimizers_state(self, monkeypatch):
        states = []
        original = MaskRCNN.train_step

        def train_step(self, data, optim_wrapper):
            states.append(len(optim_wrapper.optimizer.state))
            return original(self, data, optim_wrapper)

        monkeypatch.setattr(MaskRCNN, 'train_step', train_step)
        with as_a_gpu(), device_that_holds(1, MaskRCNN):
            find_batch_size(config())
        assert states and min(states) > 50


class TestTheRun:
    def test_is_not_changed_by_the_search(self):
        torch.manual_seed(3)
        before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
        with as_a_gpu(), device_that_holds(2, MaskRCNN):
            find_batch_size(config())
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]
        assert not MessageHub.check_instance_created('batch_probe')

    def test_has_the_number_and_the_rate_in_its_config(self, demo_data, tmp_path):
        options = [*detector_options(1), 'auto_scale_lr.base_batch_size=16']
        options.remove('train_dataloader.batch_size=4')
        with as_a_gpu(), device_that_holds(2, MaskRCNN):
            result = run_command(
                demo_data, 'train', DETECTOR, '--batch-size', 'auto', '--work-dir', tmp_path, '--cfg-options', *options
            )
        assert result.status == 0, result.err
        assert re.search(r'auto is 2, for images of \d+x\d+ with \d+ objects; more would not fit', result.out)
        cfg = Config.fromfile(tmp_path / DETECTOR.name)
        assert cfg.train_dataloader.batch_size == 2
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.002 * 2 / 16)

    @FULL
    def test_says_once_that_there_is_no_gpu(self, demo_data, tmp_path):
        options = [*FEW_WORKERS, 'train_cfg.max_epochs=1', 'val_evaluator=None', 'val_dataloader=None', 'val_cfg=None']
        result = run_command(
            demo_data, 'train', DETECTOR, '--batch-size', 'auto', '--work-dir', tmp_path, '--cfg-options', *options
        )
        assert result.status == 0, result.err
        assert result.out.count("there is no GPU, so auto is the config's, 4.") == 1


class TestRefusals:
    def test_name_data_that_cannot_be_drawn(self):
        cfg = config()
        cfg.train_dataloader.dataset.dataset.data_prefix.img = 'nowhere/'
        with as_a_gpu(), pytest.raises(UsageError, match='batch_size: auto cannot draw samples'):
            find_batch_size(cfg)

    def test_name_a_model_that_cannot_make_a_step(self):
        cfg = config()
        cfg.model.roi_head.bbox_head.num_classes = 1
        with as_a_gpu(), pytest.raises(UsageError, match='batch_size: auto cannot make a step of training'):
            find_batch_size(cfg)
