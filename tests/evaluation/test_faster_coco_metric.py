"""FasterCocoMetric, against mmdet's CocoMetric on the same predictions."""

import copy
import json
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
import torch
from helpers.data.coco_data import evaluate, make_annotations, make_samples
from mmdet.datasets.api_wrappers import cocoeval_mp
from mmdet.evaluation import CocoMetric
from mmdet.evaluation.metrics import coco_metric

import convnext_dense.evaluation.coco_scores as coco_scores
import convnext_dense.evaluation.faster_coco_metric as module
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.faster_coco_metric import FasterCocoMetric


@pytest.fixture(scope='module')
def dataset():
    return make_annotations(np.random.default_rng(0), images=40)


@pytest.fixture(scope='module')
def ann_file(dataset, tmp_path_factory):
    file = tmp_path_factory.mktemp('coco') / 'annotations.json'
    file.write_text(json.dumps(dataset))
    return str(file)


@pytest.fixture(scope='module')
def samples(dataset):
    return make_samples(np.random.default_rng(1), dataset, most=30)


def assert_same(ours, theirs):
    assert list(ours) == list(theirs)
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=0, atol=1e-6)


@pytest.fixture(autouse=True)
def _without_forks(monkeypatch):
    """Let mmdet's `use_mp_eval` evaluate in this process: a fork of one that has threads may wait forever."""
    monkeypatch.setattr(cocoeval_mp.mp, 'Pool', lambda processes: ThreadPool(1))


@pytest.fixture
def exact(monkeypatch):
    """The precision and recall of every evaluation, mmdet's and ours, before they are rounded to three digits."""
    kept = []
    summarize = coco_metric.COCOeval.summarize

    def keep_theirs(self):
        summarize(self)
        kept.append((self.eval['precision'], self.eval['recall']))

    def keep_ours(*args, **kwargs):
        scores = coco_scores.score(*args, **kwargs)
        kept.append((scores.precision, scores.recall))
        return scores

    monkeypatch.setattr(coco_metric.COCOeval, 'summarize', keep_theirs)
    monkeypatch.setattr(module, 'score', keep_ours)
    return kept


ARGUMENTS = [
    pytest.param(dict(metric=['bbox', 'segm']), id='boxes and masks'),
    pytest.param(dict(metric=['bbox', 'segm'], classwise=True), id='by class'),
    pytest.param(dict(metric=['proposal', 'bbox']), id='proposals'),
    pytest.param(dict(metric='segm', proposal_nums=(1, 10, 100), metric_items=['mAP', 'AR_l@1000']), id='items'),
    pytest.param(dict(metric=['bbox', 'segm'], iou_thrs=np.array([0.3, 0.5, 0.75])), id='thresholds'),
]


class TestFasterCocoMetric:
    @pytest.mark.parametrize('arguments', ARGUMENTS)
    def test_it_computes_mmdets_numbers(self, ann_file, samples, exact, arguments):
        theirs = evaluate(CocoMetric(ann_file=ann_file, **arguments), samples)
        number = len(exact)
        ours = evaluate(FasterCocoMetric(ann_file=ann_file, **arguments), samples)
        assert_same(ours, theirs)
        assert any(0.05 < value < 0.95 for value in ours.values())
        for theirs, ours in zip(exact[:number], exact[number:], strict=True):
            for their, our in zip(theirs, ours, strict=True):
                np.testing.assert_allclose(our, their, rtol=0, atol=1e-9)

    def test_more_than_100_detections_an_image(self, ann_file, dataset):
        samples = make_samples(np.random.default_rng(2), dataset, most=300)
        arguments = dict(ann_file=ann_file, metric=['bbox', 'proposal'])
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), evaluate(CocoMetric(**arguments), samples))

    def test_the_summary_of_use_mp_eval(self, ann_file, samples):
        arguments = dict(ann_file=ann_file, metric=['bbox', 'segm'], use_mp_eval=True)
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), evaluate(CocoMetric(**arguments), samples))

    def test_annotations_of_the_samples(self, samples):
        arguments = dict(metric=['bbox', 'segm'])
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), evaluate(CocoMetric(**arguments), samples))

    def test_a_second_evaluation(self, ann_file, samples):
        metric = FasterCocoMetric(ann_file=ann_file, metric=['bbox', 'segm'])
        assert evaluate(metric, samples) == evaluate(metric, samples)

    def test_separate_scores_of_masks(self, ann_file, samples):
        samples = copy.deepcopy(samples)
        for sample in samples:
            sample['pred_instances']['mask_scores'] = sample['pred_instances']['scores'] ** 2 % 0.3
        arguments = dict(ann_file=ann_file, metric=['bbox', 'segm'])
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), evaluate(CocoMetric(**arguments), samples))

    def test_predictions_without_masks(self, ann_file, samples):
        samples = copy.deepcopy(samples)
        for sample in samples:
            sample['pred_instances'].pop('masks')
        arguments = dict(ann_file=ann_file, metric='bbox')
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), evaluate(CocoMetric(**arguments), samples))

    def test_no_predictions_at_all(self, ann_file, samples):
        samples = copy.deepcopy(samples)
        for sample in samples:
            instances = sample['pred_instances']
            sample['pred_instances'] = {name: value[:0] for name, value in instances.items()}
        arguments = dict(ann_file=ann_file, metric=['bbox', 'segm'])
        assert evaluate(CocoMetric(**arguments), samples) == {}
        metrics = evaluate(FasterCocoMetric(**arguments), samples)
        assert metrics['coco/bbox_mAP'] == metrics['coco/segm_mAP'] == 0

    def test_classes_keep_their_names_if_the_file_has_another_order(self, dataset, samples, tmp_path):
        order = [2, 0, 1, 5, 3, 4]
        shuffled = {**dataset, 'categories': [dataset['categories'][i] for i in order]}
        samples = copy.deepcopy(samples)
        for sample in samples:
            instances = sample['pred_instances']
            # A label is a category's place in the file.
            instances['labels'] = torch.tensor([order.index(label) for label in instances['labels'].tolist()]).long()
        results = []
        for content, predictions in ((dataset, None), (shuffled, samples)):
            file = tmp_path / 'annotations.json'
            file.write_text(json.dumps(content))
            metric = FasterCocoMetric(ann_file=str(file), classwise=True)
            results.append(evaluate(metric, predictions or make_samples(np.random.default_rng(1), dataset, most=30)))
        np.testing.assert_equal(results[1], results[0])

    def test_precision_at_thresholds_of_a_list(self, ann_file, samples):
        whole = evaluate(FasterCocoMetric(ann_file=ann_file), samples)
        some = evaluate(FasterCocoMetric(ann_file=ann_file, iou_thrs=[0.5, 0.75]), samples)
        assert some['coco/bbox_mAP_50'] == whole['coco/bbox_mAP_50']
        assert some['coco/bbox_mAP_75'] == whole['coco/bbox_mAP_75']


class TestProposalNums:
    @pytest.mark.parametrize('numbers', [(3, 5, 7), (300,), (1, 10)])
    def test_ap_counts_the_last_if_100_is_none_of_them(self, ann_file, samples, numbers):
        metrics = evaluate(FasterCocoMetric(ann_file=ann_file, proposal_nums=numbers), samples)
        last = evaluate(CocoMetric(ann_file=ann_file, proposal_nums=[max(numbers)] * 3, use_mp_eval=True), samples)
        assert metrics == last
        assert metrics['coco/bbox_mAP'] > 0

    def test_recall_is_named_by_its_number(self, ann_file, samples):
        arguments = dict(ann_file=ann_file, metric='proposal')
        metrics = evaluate(FasterCocoMetric(**arguments, proposal_nums=(100, 1, 10)), samples)
        assert list(metrics)[:3] == ['coco/AR@1', 'coco/AR@10', 'coco/AR@100']
        assert metrics['coco/AR@100'] == evaluate(CocoMetric(**arguments), samples)['coco/AR@100']

    @pytest.mark.parametrize('numbers', [(), (0,), ('a',), (1.5,)])
    def test_what_is_no_number_is_an_error(self, ann_file, numbers):
        with pytest.raises(UsageError, match='proposal_nums: '):
            FasterCocoMetric(ann_file=ann_file, proposal_nums=numbers)

    def test_an_item_that_is_not_there_is_an_error(self, ann_file):
        with pytest.raises(UsageError, match="metric_items: there is no 'map'; there are mAP, mAP_50"):
            FasterCocoMetric(ann_file=ann_file, metric_items=['map'])

    def test_masks_that_the_model_does_not_predict_are_found_in_the_first_batch(self, ann_file, samples):
        samples = copy.deepcopy(samples[:1])
        samples[0]['pred_instances'].pop('masks')
        with pytest.raises(UsageError, match="'segm' needs masks, and the model predicts none"):
            FasterCocoMetric(ann_file=ann_file, metric=['bbox', 'segm']).process({}, samples)


class TestWithoutFasterCocoEval:
    def test_pycocotools_computes_the_same_numbers(self, ann_file, samples, monkeypatch):
        arguments = dict(ann_file=ann_file, metric=['bbox', 'segm', 'proposal'])
        faster = evaluate(FasterCocoMetric(**arguments), samples)
        monkeypatch.setattr(coco_scores, 'COCOeval_faster', None)
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), faster)

    def test_the_log_says_so_once(self, ann_file, samples, monkeypatch):
        module._log_fallback_once.cache_clear()
        monkeypatch.setattr(coco_scores, 'COCOeval_faster', None)
        messages = []
        monkeypatch.setattr(module, 'print_log', lambda message, logger: messages.append(message))
        for _ in range(2):
            evaluate(FasterCocoMetric(ann_file=ann_file), samples[:4])
        assert len(messages) == 1
        assert 'pip install faster-coco-eval' in messages[0]


class TestOutfilePrefix:
    def test_files_that_are_asked_for_are_mmdets(self, ann_file, samples, tmp_path):
        for metric in (CocoMetric, FasterCocoMetric):
            prefix = str(tmp_path / metric.__name__)
            evaluate(metric(ann_file, ['bbox', 'segm'], format_only=True, outfile_prefix=prefix), samples)
        for kind in ('bbox', 'segm'):
            theirs, ours = (tmp_path / f'{name}.{kind}.json' for name in ('CocoMetric', 'FasterCocoMetric'))
            assert ours.read_text() == theirs.read_text()

    def test_files_change_no_number(self, ann_file, samples, tmp_path):
        arguments = dict(ann_file=ann_file, metric=['bbox', 'segm'])
        written = evaluate(FasterCocoMetric(**arguments, outfile_prefix=str(tmp_path / 'results')), samples)
        assert written == evaluate(FasterCocoMetric(**arguments), samples)
        assert (tmp_path / 'results.segm.json').exists()
