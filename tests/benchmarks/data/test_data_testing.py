"""The benchmark of a test without its network compares what it times, and reports it."""

import json

import numpy as np
import pytest
from helpers.demo_runs import DETECTOR

from benchmarks.data import testing
from convnext_dense.evaluation.post_processing.run_lengths import Columns

WAYS = {'convnext-dense', 'OpenMMLab'}


@pytest.fixture(autouse=True)
def _small(monkeypatch, pytestconfig):
    monkeypatch.chdir(pytestconfig.rootpath)
    monkeypatch.setattr(testing, 'CONFIGS', {'demo': str(DETECTOR)})


def test_reports_both_ways(call, tmp_path):
    out = tmp_path / 'testing.json'
    result = call(testing.main, '--images', 4, '--rounds', 1, '--out', out)
    (figures,) = json.loads(out.read_text())['cases']
    assert (figures['case'], figures['images']) == ('demo', 4)
    assert figures['detections'] > 4
    assert figures['metrics']['coco/segm_mAP_50'] > 0.1
    for name in ('ms_per_image', 'total_ms_per_image', 'memory'):
        assert figures[name].keys() == WAYS
    assert figures['memory']['convnext-dense'] < figures['memory']['OpenMMLab']
    assert f'{figures["ratio"]:.2f}' in result.out


def test_fails_if_the_masks_differ(call, monkeypatch):
    part = Columns.part
    monkeypatch.setattr(Columns, 'part', lambda self, i: np.flip(part(self, i), 1))
    result = call(testing.main, '--images', 2, '--rounds', 1)
    assert result.status == 1
    assert 'demo: the masks that the two ways predict for image 1 differ.' in result.err
