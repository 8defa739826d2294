"""The table of parameters and multiply-adds."""

import pytest

from convnext_dense.analysis import measure_complexity
from convnext_dense.config import load_config
from convnext_dense.reports.complexity import complexity_table


@pytest.mark.parametrize(
    ('config', 'rois'),
    [
        ('configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py', True),
        ('configs/demo/upernet_convnext-demo_demo-ade20k.py', False),
    ],
    ids=['detector', 'segmenter'],
)
def test_it_has_every_part_the_totals_and_the_shape(config, rois, pytestconfig):
    cfg = load_config(str(pytestconfig.rootpath / config))
    table = complexity_table(cfg, (64, 128))
    complexity = measure_complexity(cfg, (64, 128))
    lines = {line.split()[0]: line for line in table.splitlines() if line}
    for name, (params, flops) in {**complexity.parts, 'total': complexity[:2]}.items():
        assert f'{params / 1e6:.2f}M' in lines[name]
        assert f'{flops / 1e9:.2f}G' in lines[name]
    assert 'one image of 64 x 128' in table
    assert ('1000 RoIs through each box head, 100 through each mask head' in table) == rois
