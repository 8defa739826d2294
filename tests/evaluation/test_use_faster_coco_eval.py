"""Configs that name mmdet's CocoMetric are evaluated by FasterCocoMetric."""

import copy

import pytest
from mmengine.config import Config
from mmengine.registry import METRICS

from convnext_dense.config import load_config
from convnext_dense.evaluation.faster_coco_metric import FasterCocoMetric, use_faster_coco_eval


class TestUseFasterCocoEval:
    def test_it_replaces_the_metric_in_mmdets_own_config(self):
        cfg = load_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
        before = copy.deepcopy(cfg.test_evaluator)
        use_faster_coco_eval(cfg)
        assert cfg.val_evaluator.type == cfg.test_evaluator.type == 'convnext_dense.FasterCocoMetric'
        assert {**cfg.test_evaluator, 'type': 'CocoMetric'} == before
        # So that mmdet's own tools import it.
        assert 'convnext_dense' in cfg.custom_imports.imports

    def test_it_replaces_the_metric_in_lists(self):
        evaluators = [dict(type='mmdet.CocoMetric', metric='bbox'), dict(type='LVISMetric'), dict(type='IoUMetric')]
        nested = dict(type='MultiDatasetsEvaluator', metrics=[dict(type='CocoMetric')], dataset_prefixes=['a'])
        cfg = Config(dict(val_evaluator=evaluators, test_evaluator=nested))
        use_faster_coco_eval(cfg)
        assert [evaluator.type for evaluator in cfg.val_evaluator] == [
            'convnext_dense.FasterCocoMetric',
            'LVISMetric',
            'IoUMetric',
        ]
        assert cfg.test_evaluator.metrics[0].type == 'convnext_dense.FasterCocoMetric'

    @pytest.mark.parametrize('content', [dict(test_evaluator=dict(type='IoUMetric')), dict(test_evaluator=None), {}])
    def test_a_config_without_the_metric_stays(self, content):
        cfg = Config(copy.deepcopy(content))
        use_faster_coco_eval(cfg)
        assert cfg.to_dict() == content

    def test_the_new_type_is_registered(self):
        cfg = Config(dict(test_evaluator=dict(type='CocoMetric')))
        use_faster_coco_eval(cfg)
        assert type(METRICS.build(cfg.test_evaluator)) is FasterCocoMetric
