"""`--accumulate N`: updates of several steps, and the learning rate that goes with their images."""

import pytest
from helpers.demo_runs import DETECTOR
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from convnext_dense.config import load_config
from convnext_dense.config.schedule.batch_size import set_batch_size
from convnext_dense.errors import UsageError

COCO = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
ADE = 'mmseg::upernet/upernet_r50_4xb4-80k_ade20k-512x512.py'
SEMI = 'mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py'


def rate(config, **options):
    return load_config(config, **options).optim_wrapper.optimizer.lr


class TestTheLearningRate:
    def test_is_the_recipes_where_an_update_has_its_images(self):
        # The recipe is for 16 images: 8 GPUs of 2.
        assert rate(COCO, accumulate=8) == pytest.approx(0.02)
        assert rate(COCO, accumulate=2, batch_size=8) == pytest.approx(0.02)
        assert rate(COCO, accumulate=2, processes=4) == pytest.approx(0.02)

    @pytest.mark.parametrize(('accumulate', 'lr'), [(1, 0.0025), (4, 0.01), (16, 0.04)])
    def test_follows_the_images_of_an_update(self, accumulate, lr):
        assert rate(COCO, accumulate=accumulate) == pytest.approx(lr)

    def test_without_a_base_is_for_the_configs_own_update(self):
        own = rate(ADE)
        assert rate(ADE, accumulate=4) == pytest.approx(own * 4)
        assert rate(ADE, accumulate=4, batch_size=1) == pytest.approx(own)

    def test_that_the_options_name_stays(self):
        assert rate(COCO, accumulate=4, cfg_options={'optim_wrapper.optimizer.lr': 0.5}) == 0.5

    def test_is_not_scaled_twice_by_auto_scale_lr(self):
        assert load_config(COCO, accumulate=4, batch_size=3).auto_scale_lr.base_batch_size == 12

    @given(
        size=st.none() | st.integers(1, 64),
        own=st.integers(1, 8),
        old=st.integers(1, 4),
        accumulate=st.integers(1, 16),
        processes=st.integers(1, 8),
    )
    def test_an_image_has_the_same_share_of_it(self, size, own, old, accumulate, processes):
        cfg = Config(dict(train_dataloader=dict(batch_size=own), optim_wrapper=dict(optimizer=dict(lr=1.0))))
        set_batch_size(cfg, size, processes, accumulate, old_accumulation=old)
        images = (size or own) * processes * accumulate
        assert cfg.optim_wrapper.optimizer.lr / images == pytest.approx(1 / (own * processes * old))


class TestAccumulate:
    def test_is_an_ordinary_field(self):
        assert load_config(COCO, accumulate=8).optim_wrapper.accumulative_counts == 8

    def test_takes_the_options_number_if_they_have_one(self):
        cfg = load_config(COCO, accumulate=8, cfg_options={'optim_wrapper.accumulative_counts': 4})
        assert cfg.optim_wrapper.accumulative_counts == 4
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.02 * 8 / 16)

    def test_works_with_a_sampler_that_has_the_batch_size(self):
        own = rate(SEMI)
        assert rate(SEMI, accumulate=2) == pytest.approx(own * 2)

    def test_leaves_the_schedule_in_steps(self, demo_data, monkeypatch):
        monkeypatch.chdir(demo_data)
        with_it, without = (load_config(str(DETECTOR), epochs=25, batch_size=2, accumulate=n) for n in (4, None))
        assert with_it.param_scheduler == without.param_scheduler
        assert with_it.train_cfg == without.train_cfg

    @pytest.mark.parametrize('accumulate', [0, -2, 1.5, '4'])
    def test_must_be_a_number_of_steps(self, accumulate):
        with pytest.raises(UsageError, match='accumulate: it must be a whole number of at least 1; got'):
            load_config(COCO, accumulate=accumulate)

    def test_needs_an_optimizer(self, tmp_path):
        config = tmp_path / 'config.py'
        config.write_text("model = dict(type='A')\ndefault_scope = 'mmdet'\n")
        with pytest.raises(UsageError, match='accumulate: the config has no optim_wrapper with an optimizer'):
            load_config(str(config), accumulate=2)
