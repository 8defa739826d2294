"""`--batch-size N`: another number of images a step, and the learning rate that goes with it."""

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

SEMI = 'soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py'


class TestTheLearningRate:
    @pytest.mark.parametrize(('size', 'lr'), [(1, 0.00125), (2, 0.0025), (16, 0.02), (32, 0.04)])
    def test_is_scaled_from_the_base_that_the_config_names(self, size, lr):
        cfg = load_config(COCO, batch_size=size)
        assert cfg.train_dataloader.batch_size == size
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(lr)

    def test_is_scaled_from_the_batch_size_of_a_config_without_one(self):
        assert load_config(ADE, batch_size=8).optim_wrapper.optimizer.lr == pytest.approx(0.02)

    def test_counts_processes_and_accumulated_steps(self):
        options = {'optim_wrapper.accumulative_counts': 2}
        cfg = load_config(COCO, cfg_options=options, batch_size=1, processes=4)
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.02 * 8 / 16)

    def test_is_scaled_once_with_auto_scale_lr(self):
        cfg = load_config(COCO, batch_size=4, processes=2)
        assert cfg.auto_scale_lr.base_batch_size == 8

    def test_stays_if_the_options_name_it(self, capsys):
        cfg = load_config(COCO, cfg_options={'optim_wrapper.optimizer.lr': 0.01}, batch_size=4)
        assert cfg.optim_wrapper.optimizer.lr == 0.01

    def test_takes_the_schedules_lowest_along(self):
        cfg = load_config('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py', batch_size=4)
        cosine = cfg.param_scheduler[1]
        assert cosine.eta_min / cfg.optim_wrapper.optimizer.lr == pytest.approx(0.05)

    @given(size=st.integers(1, 512), lr=st.floats(1e-6, 1), base=st.integers(1, 1024))
    def test_is_linear_for_each_optimizer(self, size, lr, base):
        wrapper = dict(constructor='Several', one=dict(optimizer=dict(lr=lr)), other=dict(optimizer=dict(lr=2 * lr)))
        cfg = Config(
            dict(
                train_dataloader=dict(batch_size=2),
                optim_wrapper=wrapper,
                auto_scale_lr=dict(enable=False, base_batch_size=base),
            )
        )
        set_batch_size(cfg, size)
        rates = [cfg.optim_wrapper[name].optimizer.lr for name in ('one', 'other')]
        assert rates == pytest.approx([lr * size / base, 2 * lr * size / base])


class TestTheReport:
    @pytest.mark.parametrize(
        ('config', 'options', 'sentence'),
        [
            (
                COCO,
                {},
                'batch_size: 4 images x 2 (processes) x 1 (accumulated steps) = 8 an update; the lr is for 16 '
                '(auto_scale_lr.base_batch_size), and is scaled linearly: 0.02 x 0.5 = 0.01.',
            ),
            (ADE, {}, "the lr is for 8 (the config's own batch_size), and is scaled linearly: 0.01 x 1 = 0.01."),
            (COCO, {'optim_wrapper.optimizer.lr': 0.5}, '= 8 an update; the lr is that of cfg_options.'),
        ],
    )
    def test_says_the_rule_and_the_base(self, monkeypatch, config, options, sentence):
        said = []
        monkeypatch.setattr(
            'convnext_dense.config.schedule.batch_size.print_log', lambda message, logger: said.append(message)
        )
        load_config(config, cfg_options=options, batch_size=4, processes=2)
        assert len(said) == 1 and sentence in said[0]


class TestTheRest:
    def test_of_the_options_comes_last(self):
        cfg = load_config(COCO, cfg_options={'train_dataloader.batch_size': 3}, batch_size=4)
        assert cfg.train_dataloader.batch_size == 3

    def test_is_stretched_to_the_steps_of_the_new_epochs(self, demo_data, monkeypatch):
        monkeypatch.chdir(demo_data)
        # 16 images.
        cfg = load_config(str(DETECTOR), epochs=25, batch_size=1)
        assert cfg.param_scheduler[0].end == 25 * 16 // 5
        cfg = load_config(str(DETECTOR), epochs=25, batch_size=8)
        assert cfg.param_scheduler[0].end == 25 * 2 // 5

    def test_may_be_found_by_a_function_that_sees_the_options(self):
        seen = []
        options = {'model.backbone.with_cp': True}
        cfg = load_config(COCO, cfg_options=options, batch_size=lambda whole: seen.append(whole) or 6)
        assert cfg.train_dataloader.batch_size == 6
        assert seen[0].model.backbone.with_cp

    @pytest.mark.parametrize('size', [0, -1, 1.5, '4'])
    def test_is_refused_if_it_is_none(self, size):
        with pytest.raises(UsageError, match='batch_size: it must be a whole number of at least 1; got'):
            load_config(COCO, batch_size=size)

    def test_is_refused_if_the_sampler_has_its_own(self):
        with pytest.raises(UsageError, match=r'batch_size: train_dataloader.sampler has its own batch_size'):
            load_config(
                'mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py', batch_size=4
            )
