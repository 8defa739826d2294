"""What the page of a comparison says was held fixed."""

from pathlib import Path

import pytest
from mmengine.config import Config

from convnext_dense.comparison.facts import recipe_facts
from convnext_dense.comparison.runs import Comparison, Run


def layer_decay(**rates: float | None) -> str:
    """The page's line for backbones that are trained with these rates."""
    runs = []
    for backbone, rate in rates.items():
        paramwise = {} if rate is None else dict(decay_rate=rate, decay_type='layer_wise')
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW'), paramwise_cfg=paramwise)
        loader = dict(batch_size=2, dataset=dict(type='CocoDataset'))
        cfg = dict(model=dict(backbone={}), train_dataloader=loader, train_cfg={}, optim_wrapper=optim_wrapper)
        runs.append(Run(backbone, 0, Config(cfg), Path()))
    return recipe_facts(Comparison('a.py', (64, 64), runs))['Learning-rate decay']


STEM = 'to the same rate for the stem'


@pytest.mark.parametrize(
    ('rates', 'line'),
    [
        (dict(tiny=0.95, resnet=1.0), f'tiny: 0.95 layer_wise, {STEM}; resnet: 1.0 layer_wise, {STEM}'),
        (dict(tiny=0.95, small=0.95), f'0.95 layer_wise, {STEM}'),
        (dict(tiny=0.95, resnet=None), f'tiny: 0.95 layer_wise, {STEM}; resnet: none'),
    ],
)
def test_layer_decay_is_said_for_each_backbone_if_it_differs(rates, line):
    assert layer_decay(**rates) == line


@pytest.mark.parametrize(
    ('dataset', 'line'),
    [
        (dict(type='CocoDataset', data_root='data/coco/', ann_file='a.json'), 'CocoDataset in data/coco/'),
        (dict(type='CocoDataset', data_root='', ann_file='pets/train.json'), 'CocoDataset in pets/train.json'),
        (dict(type='BaseSegDataset', data_prefix=dict(img_path='pets/train')), 'BaseSegDataset in pets/train'),
    ],
)
def test_the_data_is_named_by_its_place(dataset, line):
    cfg = dict(model=dict(backbone={}), train_dataloader=dict(batch_size=2, dataset=dataset), train_cfg={})
    cfg['optim_wrapper'] = dict(type='OptimWrapper', optimizer=dict(type='AdamW'))
    assert line in recipe_facts(Comparison('a.py', (64, 64), [Run('tiny', 0, Config(cfg), Path())])).values()
