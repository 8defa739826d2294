"""Testing's time is split, by a clock that only the parts' own work advances."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.demo_runs import DETECTOR, FEW_WORKERS, SEGMENTER
from mmdet.datasets import CocoDataset
from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmseg.models.segmentors import EncoderDecoder

from benchmarks import evaluation
from benchmarks.evaluation import RANDOM_WEIGHTS, measure_evaluation, table
from convnext_dense.backbones import ConvNeXt
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.faster_coco_metric import FasterCocoMetric

OPTIONS = {f'test_dataloader.{name}': value for name, value in dict(num_workers=0, persistent_workers=False).items()}
# Random weights are sure of nothing.
ALL_BOXES = {'model.test_cfg.rcnn.score_thr': 0.0}


@pytest.fixture(autouse=True)
def _in_demo_folder(demo_data, monkeypatch):
    monkeypatch.chdir(demo_data)


@pytest.fixture(scope='module')
def detector():
    return load_config(str(DETECTOR), cfg_options={**OPTIONS, **ALL_BOXES, 'test_dataloader.batch_size': 2})


@pytest.fixture
def takes(monkeypatch):
    """Make a call of a method take some seconds of the benchmark's clock, and everything else none."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(evaluation, 'time', SimpleNamespace(perf_counter=lambda: clock.now))

    def set_seconds(owner, name, seconds):
        method = getattr(owner, name)

        def call(*args, **kwargs):
            clock.now += seconds
            return method(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    return set_seconds


def means(times):
    return {name: times['mean'] for name, times in times.items()}


class TestMeasureEvaluation:
    def test_each_part_has_the_time_of_its_own_work(self, detector, takes, monkeypatch):
        monkeypatch.setattr(evaluation, 'WARM_UP', 2)
        takes(CocoDataset, '__getitem__', 1)
        takes(ConvNeXt, 'forward', 2)
        takes(RPNHead, 'predict_by_feat', 4)
        takes(FCNMaskHead, 'predict_by_feat', 8)
        takes(FasterCocoMetric, 'process', 16)
        takes(FasterCocoMetric, 'compute_metrics', 32)
        before = detector.to_dict()
        figures = measure_evaluation(detector, images=6)
        assert detector.to_dict() == before
        # Three batches of two images, of which the last one counts.
        assert (figures['images'], figures['batch_size'], figures['metric_images']) == (2, 2, 6)
        assert means(figures['parts']) == {'data': 1, 'model': 1, 'post-processing': 6, 'encoding': 8}
        assert means(figures['post_processing']) == {
            'rpn_head.predict_by_feat': 2,
            'roi_head.bbox_head.predict_by_feat': 0,
            'roi_head.mask_head.predict_by_feat': 4,
        }
        assert figures['metric_seconds'] == 32
        assert figures['images_per_second'] == 1 / (1 + 1 + 6 + 8 + 32 / 6)
        assert figures['peak_memory'] > 0

    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (dict(images=0), 'images: must be positive; got 0'),
            (dict(checkpoint='no.pth'), 'checkpoint: there is no file no.pth'),
        ],
    )
    def test_mistakes_are_found_before_anything_runs(self, detector, arguments, message):
        with pytest.raises(UsageError, match=message):
            measure_evaluation(detector, **arguments)

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(test_evaluator=None), 'no test_dataloader and test_evaluator'),
            ({'test_dataloader.dataset.data_root': '/nowhere'}, 'there is no folder /nowhere'),
            ({'test_dataloader.dataset': dict(_delete_=True, type='ConcatDataset', datasets=[])}, 'of several'),
        ],
    )
    def test_a_test_set_that_does_not_fit_is_a_mistake(self, detector, options, message):
        cfg = copy.deepcopy(detector)
        cfg.merge_from_dict(options)
        with pytest.raises(UsageError, match=message):
            measure_evaluation(cfg, images=2)


class TestGeneratedImages:
    def test_are_scored_by_their_own_annotations_with_random_weights(self, tmp_path):
        cfg = load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco')
        evaluation.use_generated_images(cfg, str(tmp_path), 2)
        annotations = json.loads(Path(cfg.test_evaluator.ann_file).read_text())
        dataset = cfg.test_dataloader.dataset
        assert Path(dataset.data_root, dataset.ann_file) == Path(cfg.test_evaluator.ann_file)
        assert len(annotations['images']) == 2
        assert cfg.model.backbone.init_cfg is None

    def test_leave_training_as_it_is(self, tmp_path):
        cfg = load_config(str(SEGMENTER))
        before = copy.deepcopy(cfg.train_dataloader)
        evaluation.use_generated_images(cfg, str(tmp_path), 1)
        assert cfg.train_dataloader == before
        assert cfg.test_dataloader.dataset.data_root == str(tmp_path)


class TestMain:
    def test_a_segmenter_is_timed_with_its_switches(self, call, takes, monkeypatch, tmp_path):
        contiguous = []
        takes(EncoderDecoder, 'postprocess_result', 3)
        predict = EncoderDecoder.predict

        def watched(model, *arguments):
            contiguous.append(model.decode_head.fpn_bottleneck.conv.weight.is_contiguous())
            return predict(model, *arguments)

        monkeypatch.setattr(EncoderDecoder, 'predict', watched)
        out = tmp_path / 'eval.json'
        options = ['--images', 2, '--speed', 'channels_last', '--out', out, '--cfg-options', *FEW_WORKERS]
        result = call(evaluation.main, SEGMENTER, *options)
        (figures,) = json.loads(out.read_text())['cases']
        assert (figures['config'], figures['switches']) == (str(SEGMENTER), ['channels_last'])
        assert not any(contiguous)
        assert means(figures['post_processing']) == {'decode_head.predict_by_feat': 0, 'postprocess_result': 3}
        assert 'mIoU' in figures['metrics']
        assert f'{figures["images_per_second"]:.2f} images/s' in result.out

    def test_a_mistake_is_one_line(self, call):
        result = call(evaluation.main, 'no.py')
        assert (result.status, result.err.count('\n')) == (2, 1)
        assert result.err.startswith('error: config')


def test_the_table_has_each_part_the_rate_and_the_note():
    def times(value):
        return dict(mean=value, median=value, p10=value, p90=1.5 * value, p99=value)

    text = table(
        dict(
            images_per_second=0.5,
            parts={'data': times(0), 'model': times(0.5), 'post-processing': times(0.5), 'encoding': times(0.25)},
            post_processing={'rpn_head.predict_by_feat': times(0.5)},
            metric_seconds=7.5,
            metric_images=10,
            images=6,
            batch_size=2,
            peak_memory=3 * 2**20,
            note=RANDOM_WEIGHTS,
        )
    )
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}
    assert lines['model'] == ['500.00', '750.00', '500.00', '25.0%']
    assert lines['rpn_head.predict_by_feat'] == ['500.00', '750.00', '500.00', '25.0%']
    assert lines['metric'] == ['750.00', '37.5%']
    assert '0.50 images/s, 6 images in batches of 2' in text
    assert 'peak memory: 3 MiB' in text
    assert RANDOM_WEIGHTS in text
