"""What cannot be timed is told before anything runs."""

from pathlib import Path

import pytest

from benchmarks.evaluation import measure_evaluation
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
DETECTOR = str(ROOT / 'configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py')
SEGMENTER = str(ROOT / 'configs/demo/upernet_convnext-demo_demo-ade20k.py')
OPTIONS = {f'test_dataloader.{name}': value for name, value in dict(num_workers=0, persistent_workers=False).items()}


@pytest.fixture
def detector(demo_data, monkeypatch):
    monkeypatch.chdir(demo_data)
    return load_config(DETECTOR, cfg_options=OPTIONS)


@pytest.fixture
def segmenter(demo_data, monkeypatch):
    monkeypatch.chdir(demo_data)
    return load_config(SEGMENTER, cfg_options=OPTIONS)


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (dict(images=0), '--images must be positive; got 0'),
        (dict(checkpoint='no.pth'), '--checkpoint: there is no file no.pth'),
        (dict(against_mmdet=True), '--against-mmdet'),
    ],
)
def test_mistakes_are_found_before_anything_runs(segmenter, arguments, says):
    with pytest.raises(UsageError, match=says):
        measure_evaluation(segmenter, **arguments)


def test_a_config_without_a_test_set_is_a_mistake(segmenter):
    segmenter.pop('test_evaluator')
    with pytest.raises(UsageError, match='no test_dataloader and test_evaluator'):
        measure_evaluation(segmenter)


def test_images_of_a_set_put_together_of_several_cannot_be_chosen(detector):
    detector.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[detector.test_dataloader.dataset])
    with pytest.raises(UsageError, match='put together of several'):
        measure_evaluation(detector, images=2)
