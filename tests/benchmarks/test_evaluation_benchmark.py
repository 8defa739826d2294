"""The split of testing's time, by a clock that only the parts' own work moves on."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mmdet.datasets import CocoDataset
from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmseg.models.segmentors import EncoderDecoder

from convnext_dense.backbones import ConvNeXt
from convnext_dense.benchmarks import evaluation
from convnext_dense.benchmarks.evaluation import RANDOM_WEIGHTS, EvaluationTimes, evaluation_table, measure_evaluation
from convnext_dense.engine import load_config
from convnext_dense.engine.faster_coco_metric import FasterCocoMetric
from convnext_dense.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
DETECTOR = str(ROOT / 'configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py')
SEGMENTER = str(ROOT / 'configs/demo/upernet_convnext-demo_demo-ade20k.py')
OPTIONS = {f'test_dataloader.{name}': value for name, value in dict(num_workers=0, persistent_workers=False).items()}
# Random weights are sure of nothing.
ALL_BOXES = {'model.test_cfg.rcnn.score_thr': 0.0}


@pytest.fixture
def detector(demo_data, monkeypatch):
    monkeypatch.chdir(demo_data)
    return load_config(DETECTOR, cfg_options={**OPTIONS, **ALL_BOXES, 'test_dataloader.batch_size': 2})


@pytest.fixture
def segmenter(demo_data, monkeypatch):
    monkeypatch.chdir(demo_data)
    return load_config(SEGMENTER, cfg_options=OPTIONS)


@pytest.fixture
def takes(monkeypatch):
    """Have a call of a method take some seconds of the benchmark's clock, and all else none."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(evaluation, 'time', SimpleNamespace(perf_counter=lambda: clock.now))

    def set_seconds(owner, name, seconds):
        method = getattr(owner, name)

        def call(*args, **kwargs):
            clock.now += seconds
            return method(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    return set_seconds


def test_each_part_has_the_time_of_its_own_work(detector, takes):
    takes(CocoDataset, '__getitem__', 1)
    takes(ConvNeXt, 'forward', 2)
    takes(RPNHead, 'predict_by_feat', 4)
    takes(FCNMaskHead, 'predict_by_feat', 8)
    takes(FasterCocoMetric, 'process', 16)
    takes(FasterCocoMetric, 'compute_metrics', 32)
    times = measure_evaluation(detector, images=6)
    # Three batches of two images, of which the last counts.
    assert (times.images, times.batch_size, times.metric_images) == (2, 2, 6)
    assert times.seconds == {'data': [1], 'model': [1], 'post-processing': [6], 'encoding': [8]}
    assert times.post_processing == {
        'rpn_head.predict_by_feat': [2],
        'roi_head.bbox_head.predict_by_feat': [0],
        'roi_head.mask_head.predict_by_feat': [4],
    }
    assert times.metric_seconds == 32
    assert times.images_per_second == 1 / (1 + 1 + 6 + 8 + 32 / 6)


def test_a_segmenters_resize_is_post_processing_and_its_config_stays(segmenter, takes):
    takes(EncoderDecoder, 'postprocess_result', 3)
    before = segmenter.to_dict()
    times = measure_evaluation(segmenter, images=3)
    assert segmenter.to_dict() == before
    assert times.seconds['post-processing'] == [3]
    assert times.post_processing == {'decode_head.predict_by_feat': [0], 'postprocess_result': [3]}
    assert 'mIoU' in times.metrics


def test_the_table_has_each_part_the_rate_and_the_note():
    times = EvaluationTimes(
        machine=dict(device='cpu', versions=dict(torch='2.15.0')),
        images=6,
        batch_size=2,
        seconds={'data': [0, 0, 0], 'model': [0.2, 0.5, 0.8], 'post-processing': [0.5] * 3, 'encoding': [0.25] * 3},
        post_processing={'rpn_head.predict_by_feat': [0.5] * 3},
        metric_seconds=7.5,
        metric_images=10,
        peak_memory=3 * 2**20,
        metrics={},
        note=RANDOM_WEIGHTS,
        against_mmdet=dict(ours=[2, 1, 3], mmdet=[8, 8, 9], ratio=4.0, largest_difference=0.0),
    )
    table = evaluation_table(times)
    lines = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line}
    assert lines['model'] == ['500.00', '740.00', '500.00', '25.0%']
    assert lines['rpn_head.predict_by_feat'] == ['500.00', '500.00', '500.00', '25.0%']
    assert lines['metric'][:2] == ['750.00', '37.5%']
    assert '0.50 images/s, 6 images in batches of 2' in table
    assert '8.00 s, ours 2.00 s on the same predictions, 4.00 times as fast' in table
    assert 'peak memory: 3 MiB' in table
    assert RANDOM_WEIGHTS in table


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
