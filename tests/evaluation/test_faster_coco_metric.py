"""FasterCocoMetric, against mmdet's CocoMetric on the same predictions."""

import copy
import json

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric, DumpDetResults
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import METRICS
from pycocotools.mask import encode

import convnext_dense.evaluation.faster_coco_metric as module
from convnext_dense.config import load_config
from convnext_dense.evaluation.faster_coco_metric import FasterCocoMetric, use_faster_coco_eval

HEIGHT, WIDTH = 150, 180
CLASSES = tuple(f'class {i}' for i in range(6))
# COCO's ids have gaps.
CATEGORY_IDS = [1, 2, 4, 7, 8, 11]


def ellipses(boxes):
    """The masks of ellipses in boxes of x, y, width and height."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    left, top, width, height = np.reshape(boxes, (-1, 4)).T[..., None, None]
    return ((x - left) / width - 0.5) ** 2 + ((y - top) / height - 0.5) ** 2 <= 0.25


def random_boxes(rng, number):
    """Boxes of all three of COCO's sizes."""
    size = np.exp(rng.uniform(np.log(5), np.log(HEIGHT), (number, 2))) * [1.2, 0.9]
    return np.hstack([rng.uniform(0, 1, (number, 2)) * np.maximum([WIDTH, HEIGHT] - size, 0), size])


def segmentation(mask, box, crowd):
    """As in COCO: a crowd by the lengths of its runs, another object by polygons, here two halves."""
    if crowd:
        pixels = mask.T.ravel()
        changes = np.flatnonzero(np.diff(pixels, prepend=False))
        return dict(size=[HEIGHT, WIDTH], counts=np.diff(changes, prepend=0, append=pixels.size).tolist())
    angles = [np.linspace(start, start + np.pi, 9) for start in (0, np.pi)]
    return [
        np.stack([box[0] + box[2] / 2 * (1 + np.cos(a)), box[1] + box[3] / 2 * (1 + np.sin(a))], 1).ravel().tolist()
        for a in angles
    ]


def make_annotations(rng, images):
    annotations = []
    for image in range(images):
        # Every sixth image has none.
        boxes = random_boxes(rng, rng.integers(1, 7) if image % 6 else 0)
        for box, mask in zip(boxes, ellipses(boxes), strict=True):
            crowd = rng.random() < 0.15
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=3 * image + 2,
                    category_id=CATEGORY_IDS[rng.integers(len(CLASSES) - 1)],
                    bbox=box.tolist(),
                    area=float(mask.sum()),
                    iscrowd=int(crowd),
                    segmentation=segmentation(mask, box, crowd),
                )
            )
    return dict(
        images=[dict(id=3 * i + 2, width=WIDTH, height=HEIGHT) for i in range(images)],
        categories=[dict(id=i, name=name) for i, name in zip(CATEGORY_IDS, CLASSES, strict=True)],
        annotations=annotations,
    )


def make_samples(rng, dataset, most):
    """Predictions near the annotations and elsewhere; every fifth image has none. Many scores are equal."""
    samples = []
    for i, image in enumerate(dataset['images']):
        own = [each for each in dataset['annotations'] if each['image_id'] == image['id']]
        near = [own[k] for k in rng.integers(len(own), size=most // 2)] if own else []
        boxes = np.vstack([np.reshape([each['bbox'] for each in near], (-1, 4)), random_boxes(rng, most // 2)])
        boxes *= rng.uniform(0.9, 1.1, boxes.shape)
        labels = [CATEGORY_IDS.index(each['category_id']) for each in near]
        labels = np.append(labels, rng.integers(len(CLASSES), size=most // 2)).astype(int)
        keep = rng.permutation(len(boxes))[: rng.integers(1, most) if i % 5 else 0]
        boxes, labels = boxes[keep], labels[keep]
        masks = torch.from_numpy(ellipses(boxes))
        corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
        instances = dict(
            bboxes=torch.from_numpy(corners).float(),
            labels=torch.from_numpy(labels),
            scores=torch.from_numpy(rng.random(len(keep)).round(2)).float(),
            masks=masks,
        )
        gts = [
            dict(
                bbox_label=CATEGORY_IDS.index(each['category_id']),
                bbox=[*each['bbox'][:2], each['bbox'][0] + each['bbox'][2], each['bbox'][1] + each['bbox'][3]],
                ignore_flag=each['iscrowd'],
                mask=encode(np.asfortranarray(ellipses(each['bbox'])[0].astype(np.uint8))),
            )
            for each in own
        ]
        shape = (HEIGHT, WIDTH)
        samples.append(dict(img_id=image['id'], ori_shape=shape, pred_instances=instances, instances=gts))
    return samples


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


def evaluate(metric, samples):
    metric.dataset_meta = dict(classes=CLASSES)
    for i in range(0, len(samples), 4):
        metric.process({}, copy.deepcopy(samples[i : i + 4]))
    return metric.evaluate(len(samples))


def assert_same(ours, theirs):
    assert list(ours) == list(theirs)
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=0, atol=1e-6)


@pytest.fixture
def exact(monkeypatch):
    """Keep the statistics before mmdet rounds them to three digits, of each evaluation in turn."""
    kept = []
    for evaluator in (module.COCOeval, module.COCOevalMP):
        summarize = evaluator.summarize

        def keep(self, summarize=summarize):
            summarize(self)
            kept.append((self.stats, self.eval['precision'], self.eval['recall']))

        monkeypatch.setattr(evaluator, 'summarize', keep)
    return kept


ARGUMENTS = [
    pytest.param(dict(metric=['bbox', 'segm']), id='boxes and masks'),
    pytest.param(dict(metric=['bbox', 'segm'], classwise=True), id='by class'),
    pytest.param(dict(metric=['proposal', 'bbox']), id='proposals'),
    pytest.param(dict(metric='segm', proposal_nums=(1, 10, 100), metric_items=['mAP', 'AR_l@1000']), id='items'),
    pytest.param(dict(metric='bbox', proposal_nums=(3, 5, 7)), id='no AP at 100'),
    pytest.param(dict(metric=['bbox', 'segm'], iou_thrs=np.array([0.3, 0.5, 0.75])), id='thresholds'),
]


class TestNumbers:
    @pytest.mark.parametrize('arguments', ARGUMENTS)
    def test_are_mmdets(self, ann_file, samples, exact, arguments):
        theirs = evaluate(CocoMetric(ann_file=ann_file, **arguments), samples)
        number = len(exact)
        ours = evaluate(FasterCocoMetric(ann_file=ann_file, **arguments), samples)
        assert_same(ours, theirs)
        assert any(0.05 < value < 0.95 for value in ours.values()) or arguments.get('proposal_nums') == (3, 5, 7)
        for theirs, ours in zip(exact[:number], exact[number:], strict=True):
            for their, our in zip(theirs, ours, strict=True):
                np.testing.assert_allclose(our, their, rtol=0, atol=1e-9)

    def test_with_more_than_a_hundred_detections_an_image_are_mmdets(self, ann_file, dataset):
        samples = make_samples(np.random.default_rng(2), dataset, most=300)
        arguments = dict(ann_file=ann_file, metric=['bbox', 'proposal'])
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), evaluate(CocoMetric(**arguments), samples))

    def test_by_the_summary_of_use_mp_eval_are_mmdets(self, ann_file, samples):
        arguments = dict(ann_file=ann_file, metric=['bbox', 'segm'], use_mp_eval=True)
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), evaluate(CocoMetric(**arguments), samples))

    def test_against_annotations_of_the_samples_are_mmdets(self, samples):
        arguments = dict(metric=['bbox', 'segm'])
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), evaluate(CocoMetric(**arguments), samples))

    def test_of_a_second_evaluation_are_those_of_the_first(self, ann_file, samples):
        metric = FasterCocoMetric(ann_file=ann_file, metric=['bbox', 'segm'])
        assert evaluate(metric, samples) == evaluate(metric, samples)

    def test_by_mask_scores_of_their_own_are_mmdets(self, ann_file, samples):
        samples = copy.deepcopy(samples)
        for sample in samples:
            sample['pred_instances']['mask_scores'] = sample['pred_instances']['scores'] ** 2 % 0.3
        arguments = dict(ann_file=ann_file, metric=['bbox', 'segm'])
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), evaluate(CocoMetric(**arguments), samples))

    def test_without_masks_are_mmdets(self, ann_file, samples):
        samples = copy.deepcopy(samples)
        for sample in samples:
            sample['pred_instances'].pop('masks')
        arguments = dict(ann_file=ann_file, metric='bbox')
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), evaluate(CocoMetric(**arguments), samples))

    def test_without_any_prediction_there_are_none_and_a_line_says_so(self, ann_file, samples):
        samples = copy.deepcopy(samples)
        for sample in samples:
            instances = sample['pred_instances']
            sample['pred_instances'] = {name: value[:0] for name, value in instances.items()}
        arguments = dict(ann_file=ann_file, metric=['bbox', 'segm'])
        assert evaluate(FasterCocoMetric(**arguments), samples) == evaluate(CocoMetric(**arguments), samples) == {}


class TestWithoutFasterCocoEval:
    def test_pycocotools_evaluates_to_the_same_numbers(self, ann_file, samples, monkeypatch):
        arguments = dict(ann_file=ann_file, metric=['bbox', 'segm', 'proposal'])
        faster = evaluate(FasterCocoMetric(**arguments), samples)
        monkeypatch.setattr(module, 'COCOeval_faster', None)
        assert_same(evaluate(FasterCocoMetric(**arguments), samples), faster)

    def test_one_line_says_so(self, ann_file, samples, monkeypatch):
        module._tell_of_pycocotools.cache_clear()
        monkeypatch.setattr(module, 'COCOeval_faster', None)
        messages = []
        monkeypatch.setattr(module, 'print_log', lambda message, logger: messages.append(message))
        for _ in range(2):
            evaluate(FasterCocoMetric(ann_file=ann_file), samples[:4])
        assert len(messages) == 1
        assert 'pip install faster-coco-eval' in messages[0]


class TestFiles:
    def test_are_mmdets_where_they_are_asked_for(self, ann_file, samples, tmp_path):
        for metric in (CocoMetric, FasterCocoMetric):
            prefix = str(tmp_path / metric.__name__)
            evaluate(metric(ann_file, ['bbox', 'segm'], format_only=True, outfile_prefix=prefix), samples)
        for kind in ('bbox', 'segm'):
            theirs, ours = (tmp_path / f'{name}.{kind}.json' for name in ('CocoMetric', 'FasterCocoMetric'))
            assert ours.read_text() == theirs.read_text()

    def test_change_no_number(self, ann_file, samples, tmp_path):
        arguments = dict(ann_file=ann_file, metric=['bbox', 'segm'])
        written = evaluate(FasterCocoMetric(**arguments, outfile_prefix=str(tmp_path / 'results')), samples)
        assert written == evaluate(FasterCocoMetric(**arguments), samples)
        assert (tmp_path / 'results.segm.json').exists()


def test_other_metrics_of_the_same_predictions_still_get_masks(ann_file, samples, tmp_path):
    metrics = [FasterCocoMetric(ann_file=ann_file, metric='segm'), DumpDetResults(str(tmp_path / 'out.pkl'))]
    Evaluator(metrics).process(copy.deepcopy(samples[1:3]))
    masks = metrics[1].results[0]['pred_instances']['masks']
    assert masks == metrics[0].results[0][1]['masks']


@pytest.mark.parametrize('on_device', [False, True])
def test_masks_are_encoded_on_their_device_only_if_told_to(ann_file, samples, monkeypatch, on_device):
    encoded = []
    encode_masks = module.encode_masks
    monkeypatch.setattr(module, 'encode_masks', lambda masks: encoded.append(masks) or encode_masks(masks))
    metric = FasterCocoMetric(ann_file=ann_file, metric=['bbox', 'segm'], encode_on_device=on_device)
    expected = evaluate(CocoMetric(ann_file=ann_file, metric=['bbox', 'segm']), samples)
    assert_same(evaluate(metric, samples), expected)
    assert len(encoded) == (len(samples) if on_device else 0)


def test_mmdets_own_metric_stays_as_it_was():
    names = CocoMetric.compute_metrics.__globals__
    assert names['COCOeval'] is module.COCOeval
    assert names['load'] is module.load


class TestSwitch:
    def test_replaces_mmdets_metric_in_its_own_config(self):
        cfg = load_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
        before = copy.deepcopy(cfg.test_evaluator)
        use_faster_coco_eval(cfg)
        assert cfg.val_evaluator.type == cfg.test_evaluator.type == 'convnext_dense.FasterCocoMetric'
        assert {**cfg.test_evaluator, 'type': 'CocoMetric'} == before
        # mmdet's own tools import it then.
        assert 'convnext_dense' in cfg.custom_imports.imports

    def test_replaces_it_in_lists_and_leaves_others(self):
        evaluators = [dict(type='mmdet.CocoMetric', metric='bbox'), dict(type='LVISMetric'), dict(type='IoUMetric')]
        nested = dict(type='MultiDatasetsEvaluator', metrics=[dict(type='CocoMetric')], dataset_prefixes=['a'])
        cfg = Config(dict(val_evaluator=evaluators, test_evaluator=nested))
        use_faster_coco_eval(cfg)
        assert [each.type for each in cfg.val_evaluator] == [
            'convnext_dense.FasterCocoMetric',
            'LVISMetric',
            'IoUMetric',
        ]
        assert cfg.test_evaluator.metrics[0].type == 'convnext_dense.FasterCocoMetric'

    @pytest.mark.parametrize('content', [dict(test_evaluator=dict(type='IoUMetric')), dict(test_evaluator=None), {}])
    def test_leaves_a_config_without_it_as_it_is(self, content):
        cfg = Config(copy.deepcopy(content))
        use_faster_coco_eval(cfg)
        assert cfg.to_dict() == content

    def test_is_found_by_its_name(self, ann_file):
        cfg = Config(dict(test_evaluator=dict(type='CocoMetric', ann_file=ann_file)))
        use_faster_coco_eval(cfg)
        assert type(METRICS.build(cfg.test_evaluator)) is FasterCocoMetric
