"""The benchmark of a segmenter's test compares what it times, and reports it."""

import json

import pytest
from helpers.demo_runs import SEGMENTER

from benchmarks.data import segmenting
from convnext_dense.compat.segmenting import postprocess_result, slide_inference

# Two models are built and compared.
pytestmark = pytest.mark.full
WINDOWS = dict(mode='slide', crop_size=(40, 40), stride=(30, 30))


@pytest.fixture(autouse=True)
def _small(monkeypatch, pytestconfig):
    monkeypatch.chdir(pytestconfig.rootpath)
    monkeypatch.setattr(segmenting, 'CASES', {'demo': (str(SEGMENTER), WINDOWS, ((64, 96), (80, 64)))})


def test_reports_both_ways(call, tmp_path):
    out = tmp_path / 'test.json'
    result = call(segmenting.main, '--images', 2, '--rounds', 1, '--out', out)
    (figures,) = json.loads(out.read_text())['cases']
    for name in ('milliseconds', 'peak_memory'):
        assert figures[name].keys() == {'ours', 'OpenMMLab'}
    assert figures['peak_memory']['ours'] > 0
    assert figures['milliseconds']['ours'].keys() == {*segmenting.PARTS, 'all'}
    assert 0 < figures['scores']['mIoU'] < 100
    assert f'{figures["ratio"]:.2f} times as fast' in result.out


def test_fails_if_the_label_maps_differ(call, monkeypatch):
    def wrong(*args):
        samples = postprocess_result(*args)
        samples[0].pred_sem_seg.data[0, 0, 0] ^= 1
        return samples

    monkeypatch.setitem(segmenting.METHODS, 'ours', (slide_inference, wrong))
    result = call(segmenting.main, '--images', 1, '--rounds', 1)
    assert result.status == 1
    assert 'demo: pred_sem_seg of image 0 differs between the two ways' in result.err
