"""`--ema`, `--save-best` and `--patience`: ordinary fields of a config, for each kind of model."""

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER
from mmengine.config import Config
from mmengine.model import MomentumAnnealingEMA
from torch import nn

from convnext_dense.config import load_config
from convnext_dense.config.training_options.metrics import better, find_metric, least_rise, metric_names
from convnext_dense.errors import UsageError

PANOPTIC = 'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'
BOXES = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
VOC = 'mmdet::pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py'
CITYSCAPES = 'mmdet::cityscapes/mask-rcnn_r50_fpn_1x_cityscapes.py'
LVIS = 'mmdet::lvis/mask-rcnn_r50_fpn_sample1e-3_ms-1x_lvis-v1.py'
CROWD = 'mmdet::crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py'


def hook(cfg, kind):
    return next(hook for hook in cfg.custom_hooks if hook.type.endswith(kind))


class TestSaveBest:
    @pytest.mark.parametrize(
        ('config', 'metric', 'rise'),
        [
            (DETECTOR, 'coco/segm_mAP', 0.001),
            (BOXES, 'coco/bbox_mAP', 0.001),
            (SEGMENTER, 'mIoU', 0.1),
            (PANOPTIC, 'coco_panoptic/PQ', 0.1),
            (VOC, 'pascal_voc/mAP', 0.001),
            (CITYSCAPES, 'coco/segm_mAP', 0.001),
            (LVIS, 'lvis/segm_AP', 0.001),
            (CROWD, 'crowd_human/mAP', 0.001),
        ],
    )
    def test_watches_the_metric_that_matters_most(self, config, metric, rise):
        cfg = load_config(str(config), save_best='auto', patience=3)
        assert (cfg.default_hooks.checkpoint.save_best, cfg.default_hooks.checkpoint.rule) == (metric, 'greater')
        stopping = hook(cfg, 'EarlyStoppingHook')
        assert (stopping.monitor, stopping.rule, stopping.min_delta, stopping.patience) == (metric, 'greater', rise, 3)

    def test_takes_a_metric_without_its_prefix(self):
        cfg = load_config(str(DETECTOR), save_best='bbox_mAP_50')
        assert cfg.default_hooks.checkpoint.save_best == 'coco/bbox_mAP_50'

    def test_sees_the_evaluators_as_the_options_make_them(self):
        cfg = load_config(str(DETECTOR), cfg_options={'val_evaluator.metric': 'bbox'}, save_best='auto')
        assert cfg.default_hooks.checkpoint.save_best == 'coco/bbox_mAP'

    def test_takes_any_name_of_an_evaluator_that_is_not_known(self):
        evaluator = {'val_evaluator': dict(type='MyMetric', _delete_=True)}
        cfg = load_config(str(DETECTOR), cfg_options=evaluator, save_best='my/loss')
        assert (cfg.default_hooks.checkpoint.save_best, cfg.default_hooks.checkpoint.rule) == ('my/loss', 'less')
        with pytest.raises(UsageError, match='save_best: which metric of MyMetric matters most is not known; name one'):
            load_config(str(DETECTOR), cfg_options=evaluator, save_best='auto')

    def test_of_a_metric_that_is_not_the_runs_names_the_nearest(self):
        with pytest.raises(
            UsageError, match='save_best: the val_evaluator reports no mIoU; its nearest metrics are co'
        ):
            load_config(str(DETECTOR), save_best='mIoU')

    def test_of_two_evaluators_asks_which(self):
        both = [dict(type='CocoMetric', prefix=prefix, metric='bbox') for prefix in ('a', 'b')]
        cfg = Config(dict(val_dataloader=dict(batch_size=1), val_evaluator=both))
        with pytest.raises(
            UsageError, match='save_best: bbox_mAP may be a/bbox_mAP or b/bbox_mAP; give the whole name'
        ):
            find_metric(cfg, 'bbox_mAP', 'save_best')

    @pytest.mark.parametrize('argument', ['save_best', 'patience'])
    def test_without_validation_says_what_is_missing(self, argument):
        none = dict.fromkeys(('val_dataloader', 'val_evaluator', 'val_cfg'))
        value = {'save_best': 'auto', 'patience': 3}[argument]
        with pytest.raises(UsageError, match=f'{argument}: the config has no val_dataloader and val_evaluator'):
            load_config(str(DETECTOR), cfg_options=none, **{argument: value})

    def test_knows_the_names_that_a_segmenter_reports(self):
        for metrics in ('mIoU', ['mIoU', 'mDice'], 'mFscore'):
            cfg = Config(dict(val_evaluator=dict(type='IoUMetric', iou_metrics=metrics)))
            assert all(better(name) == 'greater' and least_rise(name) == 0.1 for name in metric_names(cfg))


class TestPatience:
    def test_keeps_the_best_checkpoint_too(self):
        cfg = load_config(str(DETECTOR), patience=3)
        assert cfg.default_hooks.checkpoint.save_best == 'coco/segm_mAP'

    def test_watches_what_the_best_checkpoint_is_chosen_by(self):
        cfg = load_config(str(DETECTOR), patience=3, save_best='bbox_mAP')
        assert hook(cfg, 'EarlyStoppingHook').monitor == 'coco/bbox_mAP'
        options = {'default_hooks.checkpoint.save_best': 'coco/bbox_mAP_75'}
        assert hook(load_config(str(DETECTOR), cfg_options=options, patience=3), 'Hook').monitor == 'coco/bbox_mAP_75'

    def test_makes_the_config_import_its_hook(self):
        assert 'convnext_dense' in load_config(BOXES, patience=3).custom_imports.imports

    @pytest.mark.parametrize('patience', [0, -1, 2.5, '3'])
    def test_must_be_a_number_of_validations(self, patience):
        with pytest.raises(UsageError, match='patience: it must be a whole number of at least 1; got'):
            load_config(str(DETECTOR), patience=patience)


class TestEma:
    def test_leaves_a_configs_own_average(self):
        own = load_config(BOXES).custom_hooks[0]
        assert own.type == 'EMAHook'
        assert load_config(BOXES, ema=True).custom_hooks[0] == own
        assert len(load_config(BOXES, ema=True).custom_hooks) == len(load_config(BOXES).custom_hooks)

    def test_is_changed_by_options(self):
        cfg = load_config(str(SEGMENTER), cfg_options={'custom_hooks.0.momentum': 0.01}, ema=True)
        assert hook(cfg, 'EMAHook').momentum == 0.01

    def test_is_not_stretched_with_the_run(self, demo_data, monkeypatch):
        monkeypatch.chdir(demo_data)
        hooks = [hook(load_config(str(SEGMENTER), ema=True, iters=iters), 'EMAHook') for iters in (200, 5000)]
        assert hooks[0] == hooks[1]

    @pytest.mark.parametrize('steps', [200, 1000, 5000])
    def test_reaches_over_a_fiftieth_of_any_run(self, steps):
        settings = hook(load_config(str(SEGMENTER), ema=True), 'EMAHook')
        average = MomentumAnnealingEMA(nn.Linear(1, 1), settings.momentum, settings.gamma)
        layer = nn.Linear(1, 1)
        # The weights are the number of the step, so the average says how old it is in the mean.
        for step in range(steps):
            nn.init.constant_(layer.weight, step)
            average.update_parameters(layer)
        assert 1 - average.module.weight.item() / steps == pytest.approx(1 / 50, abs=0.005)
