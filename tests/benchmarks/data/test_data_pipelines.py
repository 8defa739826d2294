"""The benchmark of training data compares what it times, and reports it."""

import json

import numpy as np
import pytest
import torch
from helpers.demo_runs import DETECTOR
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from benchmarks.data import epoch, pipelines
from benchmarks.data.samples import difference, sent_bytes
from convnext_dense.datasets.transforms.det_packing import PackDetInputs


def sample(**changes):
    """Return a sample of one object, with changes to its boxes, masks or meta information."""
    boxes = HorizontalBoxes(torch.tensor([changes.get('box', [1.0, 2.0, 3.0, 4.0])]))
    masks = BitmapMasks(np.full((1, 4, 5), changes.get('pixel', 1), np.uint8), 4, 5)
    data = DetDataSample(metainfo=dict(flip=changes.get('flip', False)))
    data.gt_instances = InstanceData(bboxes=boxes, masks=masks)
    return dict(inputs=torch.zeros(3, 4, 5, dtype=torch.uint8), data_samples=data)


class TestDifference:
    @pytest.mark.parametrize(
        ('changes', 'expected'),
        [
            ({}, 0),
            (dict(box=[1.0, 2.0, 3.0, 4.5]), 0.5),
            (dict(pixel=0), 1),
            (dict(flip=True), float('inf')),
        ],
    )
    def test_sees_boxes_masks_and_meta_information(self, changes, expected):
        assert difference(sample(), sample(**changes)) == expected

    def test_shapes_and_types_count(self):
        assert difference(torch.zeros(2), torch.zeros(3)) == float('inf')
        assert difference(torch.zeros(2), torch.zeros(2, dtype=torch.int64)) == float('inf')


def test_tensors_are_sent_by_shared_memory_and_arrays_by_pipe():
    sizes = sent_bytes(dict(inputs=torch.zeros(10_000), masks=np.zeros(20_000, np.uint8)))
    assert sizes['shared'] == 40_000
    assert 20_000 < sizes['pipe'] < 22_000


class TestMain:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch, pytestconfig):
        monkeypatch.chdir(pytestconfig.rootpath)
        for name, value in dict(CONFIGS={'demo': str(DETECTOR)}, BLOCK=2, WORKERS=0, POSITIVES=4).items():
            monkeypatch.setattr(pipelines, name, value)

    def test_reports_both_ways(self, call, tmp_path):
        out = tmp_path / 'data.json'
        result = call(pipelines.main, '--images', 8, '--rounds', 1, '--batches', 1, '--out', out)
        (figures,) = json.loads(out.read_text())['cases']
        assert (figures['case'], figures['images'], figures['largest_difference']) == ('demo', 8, 0)
        for name in ('images_per_second', 'sent_bytes', 'main_process_ms', 'mask_targets_ms'):
            assert figures[name].keys() == {'data', 'OpenMMLab'}
        sizes = figures['sent_bytes']
        assert sizes['data']['pipe'] < sizes['OpenMMLab']['pipe'] / 4
        assert sizes['data']['shared'] == sizes['OpenMMLab']['shared']
        assert f'{figures["ratio"]:.2f} times the images/s' in result.out

    def test_fails_if_the_samples_differ(self, call, monkeypatch):
        pack = PackDetInputs.transform

        def wrong(self, results):
            results['img'] = results['img'] ^ 255
            return pack(self, results)

        monkeypatch.setattr(PackDetInputs, 'transform', wrong)
        result = call(pipelines.main, '--images', 4, '--rounds', 1, '--batches', 1)
        assert result.status == 1
        assert 'demo: the samples of the two ways differ by' in result.err


def test_an_epoch_is_timed_with_a_sleep_in_place_of_the_model(monkeypatch, pytestconfig):
    monkeypatch.setattr(epoch, 'WORKERS', 0)
    monkeypatch.setitem(epoch.CONFIGS, 'mask-rcnn', str(pytestconfig.rootpath / DETECTOR))
    (case,) = epoch.main(['--cases', 'mask-rcnn', '--images', '4', '--rounds', '1', '--step-ms', '50'])
    assert min(case['epoch_seconds'].values()) > 0.05
