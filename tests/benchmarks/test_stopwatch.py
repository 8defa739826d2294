"""The split of testing's time, by a clock that only the parts' own work moves on."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mmdet.datasets import CocoDataset
from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmseg.models.segmentors import EncoderDecoder

from benchmarks import stopwatch
from benchmarks.evaluation import measure_evaluation
from convnext_dense.backbones import ConvNeXt
from convnext_dense.config import load_config
from convnext_dense.evaluation.faster_coco_metric import FasterCocoMetric

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
    monkeypatch.setattr(stopwatch, 'time', SimpleNamespace(perf_counter=lambda: clock.now))

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
