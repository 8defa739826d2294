"""The benchmark of detectors gives several configs the first one's batches."""

import json
from pathlib import Path

import pytest

from benchmarks.training import detectors

DEMO = Path('configs/demo')
D_FINE, MASK_RCNN = 'd-fine_convnext-demo_demo-coco', 'mask-rcnn_convnext-demo_fpn_demo-coco'


@pytest.mark.full
def test_configs_take_their_steps_in_turn(tmp_path):
    out = tmp_path / 'detectors.json'
    configs = [str(DEMO / f'{name}.py') for name in (MASK_RCNN, D_FINE)]
    detectors.main([*configs, '--batch-size', '1', '--rounds', '1', '--out', str(out)])
    (case,) = json.loads(out.read_text())['cases']
    assert case['steps'].keys() == case['peak_memory'].keys() == {MASK_RCNN, D_FINE}
    assert case['ratio'].keys() == {D_FINE}
    assert all(figures['median'] > 0 for figures in case['steps'].values())
