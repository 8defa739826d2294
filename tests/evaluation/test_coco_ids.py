"""FasterCocoMetric on every kind of id that JSON allows, against pycocotools on the same data with plain ids."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from pycocotools.mask import encode

import convnext_dense.evaluation.coco_scores as coco_scores
import convnext_dense.evaluation.faster_coco_metric as module
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.faster_coco_metric import FasterCocoMetric
from convnext_dense.registry import METRICS

SIZE = 200
CLASSES = ('a', 'b', 'c')
# By kind: the id of the i-th thing.
IDS = {
    'plain': lambda i: i + 1,
    'from 0': lambda i: i,
    'negative': lambda i: -i - 1,
    'above 2^24': lambda i: 2**24 + i,
    'above 2^53': lambda i: 2**53 + i,
    'above 2^64': lambda i: 2**70 + i,
    'floats': lambda i: i + 0.5,
    'whole floats': lambda i: float(i),
    'strings': lambda i: f'img_{i}.png',
    'digits': str,
    'strings and numbers': lambda i: str(i) if i % 2 else i,
}
KINDS = st.sampled_from(sorted(IDS))


def make_dataset(rng, images=6):
    """Return a dataset of plain ids with crowds, ignored objects, objects of all sizes and images without any."""
    annotations = []
    for image in range(1, images + 1):
        for _ in range(int(rng.integers(0, 6))):
            width, height = np.exp(rng.uniform(np.log(6), np.log(150), 2)).round(2).tolist()
            x, y = (rng.random(2) * [SIZE - width, SIZE - height]).round(2).tolist()
            # Two columns with a gap: less than the box.
            third = width / 3
            columns = [
                [left, y, left + third, y, left + third, y + height, left, y + height] for left in (x, x + 2 * third)
            ]
            annotation = dict(image_id=image, category_id=int(rng.integers(1, 4)), bbox=[x, y, width, height])
            annotation |= dict(area=2 * third * height, segmentation=columns, iscrowd=int(rng.random() < 0.15))
            annotation |= dict(ignore=1) if rng.random() < 0.1 else {}
            annotations.append(dict(annotation, id=len(annotations) + 1))
    return dict(
        images=[dict(id=i, file_name=f'{i}.png', height=SIZE, width=SIZE) for i in range(1, images + 1)],
        annotations=annotations,
        categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES, start=1)],
    )


def make_predictions(rng, dataset):
    """Return arrays by image: boxes near the objects and elsewhere. Many scores are equal; some images have none."""
    predictions = {}
    for image in dataset['images']:
        own = [annotation for annotation in dataset['annotations'] if annotation['image_id'] == image['id']]
        near = [(annotation['bbox'], annotation['category_id']) for annotation in own for _ in range(2)]
        far = [([*rng.integers(0, 100, 2), *rng.integers(5, 90, 2)], rng.integers(1, 4)) for _ in range(3)]
        found = near + far if rng.random() < 0.85 else []
        boxes = np.reshape([box for box, _ in found], (-1, 4)) * rng.uniform(0.9, 1.1, (len(found), 4))
        labels = np.array([category - 1 for _, category in found], dtype=int)
        predictions[image['id']] = (boxes.round(3), labels, rng.random(len(found)).round(1))
    return predictions


def rename(dataset, image_id, annotation_id, category_id):
    """Return the dataset under other ids."""
    return dict(
        images=[dict(image, id=image_id(image['id'] - 1)) for image in dataset['images']],
        annotations=[
            dict(
                annotation,
                id=annotation_id(annotation['id'] - 1),
                image_id=image_id(annotation['image_id'] - 1),
                category_id=category_id(annotation['category_id'] - 1),
            )
            for annotation in dataset['annotations']
        ],
        categories=[dict(category, id=category_id(category['id'] - 1)) for category in dataset['categories']],
    )


def drop_fields(rng, dataset):
    """Leave `area` and `iscrowd` out of some annotations, where that changes nothing."""
    for annotation in dataset['annotations']:
        if rng.random() < 0.4:
            annotation.pop('area')
        if not annotation['iscrowd'] and rng.random() < 0.4:
            annotation.pop('iscrowd')


def write(folder, dataset):
    """Write an annotation file; return its path."""
    file = folder / 'annotations.json'
    file.write_text(json.dumps(dataset))
    return str(file)


def masks(boxes):
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    left, top, width, height = np.reshape(boxes, (-1, 4)).T[..., None, None]
    return (x >= left) & (x < left + width) & (y >= top) & (y < top + height)


def evaluate(file, dataset, predictions, **arguments):
    """Return FasterCocoMetric's numbers. `predictions` are in the order of the images."""
    metric = FasterCocoMetric(ann_file=file, **arguments)
    metric.dataset_meta = dict(classes=CLASSES)
    for image, (boxes, labels, scores) in zip(dataset['images'], predictions, strict=True):
        corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
        instances = dict(bboxes=torch.tensor(corners), labels=torch.tensor(labels), scores=torch.tensor(scores))
        instances['masks'] = torch.from_numpy(masks(boxes))
        metric.process({}, [dict(img_id=image['id'], ori_shape=(SIZE, SIZE), pred_instances=instances)])
    return metric.evaluate(len(predictions))


def pycocotools_scores(dataset, predictions, iou_type, categories=(0, 1, 2, 3)):
    """Return pycocotools' precision and recall of a dataset of plain ids."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(dataset))
        truth.createIndex()
        records = []
        for image, (boxes, labels, scores) in predictions.items():
            shapes = [encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks(boxes)]
            for box, label, score, mask in zip(boxes.tolist(), labels, scores, shapes, strict=True):
                shape = dict(bbox=box) if iou_type == 'bbox' else dict(segmentation=mask)
                records.append(dict(shape, image_id=image, category_id=categories[int(label) + 1], score=float(score)))
        evaluator = COCOeval(truth, truth.loadRes(records), iou_type)
        evaluator.params.maxDets = [100, 300, 1000]
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval['precision'], evaluator.eval['recall']


@pytest.fixture
def kept(monkeypatch):
    """The scores of every evaluation, before they are rounded to three digits."""
    scores = []

    def keep(*args, **kwargs):
        scores.append(coco_scores.score(*args, **kwargs))
        return scores[-1]

    monkeypatch.setattr(module, 'score', keep)
    return scores


def place(numbers, make_id):
    """Return the place of each number from 1 on if they are sorted by their ids. Ids of two types are not sorted."""
    order = list(numbers)
    with contextlib.suppress(TypeError):
        order = sorted(order, key=lambda number: make_id(number - 1))
    return {number: i for i, number in enumerate(order, start=1)}


def check(tmp_path, kept, seed, image_kind, annotation_kind, category_kind):
    rng = np.random.default_rng(seed)
    dataset = make_dataset(rng)
    predictions = make_predictions(rng, dataset)
    if not dataset['annotations'] or not any(len(boxes) for boxes, _, _ in predictions.values()):
        return
    other = rename(dataset, IDS[image_kind], IDS[annotation_kind], IDS[category_kind])
    # pycocotools goes through images in the order of their ids, which decides between equal scores.
    image_place = place(range(1, len(dataset['images']) + 1), IDS[image_kind])
    category_place = place(range(1, len(CLASSES) + 1), IDS[category_kind])
    plain = rename(dataset, lambda i: image_place[i + 1], lambda i: i + 1, lambda i: category_place[i + 1])
    moved = {image_place[image]: found for image, found in predictions.items()}
    expected = [pycocotools_scores(plain, moved, iou_type, category_place) for iou_type in ('bbox', 'segm')]
    drop_fields(rng, other)
    file = write(tmp_path, other)
    kept.clear()
    evaluate(file, other, list(predictions.values()), metric=['bbox', 'segm'])
    for ours, (precision, recall) in zip(kept, expected, strict=True):
        np.testing.assert_allclose(ours.precision, precision, rtol=0, atol=1e-9)
        np.testing.assert_allclose(ours.recall, recall, rtol=0, atol=1e-9)


SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class TestIds:
    @pytest.mark.parametrize('engine', ['faster-coco-eval', 'pycocotools'])
    @settings(SHARED, max_examples=6)
    @given(st.integers(0, 10**6), KINDS, KINDS, KINDS)
    def test_any_kind_has_the_numbers_of_plain_ids(self, tmp_path, kept, engine, seed, image, annotation, category):
        with pytest.MonkeyPatch.context() as patch:
            if engine == 'pycocotools':
                patch.setattr(coco_scores, 'COCOeval_faster', None)
            check(tmp_path, kept, seed, image, annotation, category)

    @pytest.mark.full
    @settings(SHARED, max_examples=200)
    @given(st.integers(0, 10**6), KINDS, KINDS, KINDS)
    def test_two_hundred_datasets(self, tmp_path, kept, seed, image, annotation, category):
        check(tmp_path, kept, seed, image, annotation, category)

    def test_two_images_of_one_id_are_an_error(self, tmp_path):
        dataset = make_dataset(np.random.default_rng(0))
        dataset['images'][1]['id'] = 1
        file = write(tmp_path, dataset)
        with pytest.raises(UsageError, match=r'annotations\.json: the images 1\.png and 2\.png have one id, 1; '):
            FasterCocoMetric(ann_file=file)

    def test_images_without_a_file_may_share_ids(self):
        rng = np.random.default_rng(1)
        metric = FasterCocoMetric()
        metric.dataset_meta = dict(classes=CLASSES)
        for _ in range(2):
            corners = torch.tensor(rng.integers(0, 50, (2, 4)) + np.array([0, 0, 60, 60])).float()
            instances = dict(bboxes=corners, labels=torch.tensor([0, 1]), scores=torch.tensor([0.9, 0.8]))
            truth = [dict(bbox=box, bbox_label=label, ignore_flag=0) for label, box in enumerate(corners.tolist())]
            metric.process({}, [dict(img_id=7, ori_shape=(SIZE, SIZE), pred_instances=instances, instances=truth)])
        assert metric.evaluate(2)['coco/bbox_mAP'] == 1

    @pytest.mark.parametrize(('ids', 'message'), [([1, 9], 'has no image of id 9'), ([1, 1], '1 was predicted twice')])
    def test_predictions_of_unknown_or_repeated_images_are_an_error(self, tmp_path, ids, message):
        dataset = make_dataset(np.random.default_rng(0))
        file = write(tmp_path, dataset)
        found = (np.array([[10.0, 10, 20, 20]]), np.array([0]), np.array([0.5]))
        with pytest.raises(UsageError, match=message):
            evaluate(file, dict(images=[dict(id=i) for i in ids]), [found, found])


class TestMissingFields:
    @pytest.mark.parametrize('metric_type', ['mmdet.CocoMetric', 'convnext_dense.FasterCocoMetric'])
    def test_both_metrics_fill_them_in(self, tmp_path, metric_type):
        dataset = make_dataset(np.random.default_rng(3))
        image = next(image for image in dataset['images'] if image['id'] == dataset['annotations'][0]['image_id'])
        values = []
        for fields in ((), ('area', 'iscrowd')):
            for annotation in dataset['annotations']:
                annotation['iscrowd'] = 0
                for field in fields:
                    annotation.pop(field)
            file = write(tmp_path, dataset)
            metric = METRICS.build(dict(type=metric_type, ann_file=file))
            metric.dataset_meta = dict(classes=CLASSES)
            boxes = torch.tensor(
                [annotation['bbox'] for annotation in dataset['annotations'] if annotation['image_id'] == image['id']]
            )
            boxes[:, 2:] += boxes[:, :2]
            labels = torch.zeros(len(boxes), dtype=torch.long)
            instances = dict(bboxes=boxes, labels=labels, scores=torch.ones(len(boxes)))
            metric.process({}, [dict(img_id=image['id'], ori_shape=(SIZE, SIZE), pred_instances=instances)])
            values.append(metric.evaluate(1))
        assert values[0] == values[1]
        assert values[0]['coco/bbox_mAP'] > 0

    def test_the_size_of_an_image_comes_from_its_prediction(self, tmp_path, kept):
        rng = np.random.default_rng(4)
        dataset = make_dataset(rng)
        predictions = make_predictions(rng, dataset)
        expected = pycocotools_scores(dataset, predictions, 'segm')
        for image in dataset['images']:
            del image['height'], image['width']
        file = write(tmp_path, dataset)
        evaluate(file, dataset, list(predictions.values()), metric='segm')
        np.testing.assert_allclose(kept[0].precision, expected[0], rtol=0, atol=1e-9)

    def test_an_object_without_a_mask_is_an_error(self, tmp_path):
        rng = np.random.default_rng(4)
        dataset = make_dataset(rng)
        del dataset['annotations'][2]['segmentation']
        file = write(tmp_path, dataset)
        with pytest.raises(UsageError, match=r'annotations\.json: annotation 3 has no segmentation'):
            evaluate(file, dataset, list(make_predictions(rng, dataset).values()), metric='segm')


class TestNothingFound:
    @pytest.mark.parametrize('engine', ['faster-coco-eval', 'pycocotools'])
    def test_ap_is_0(self, tmp_path, monkeypatch, engine):
        if engine == 'pycocotools':
            monkeypatch.setattr(coco_scores, 'COCOeval_faster', None)
        dataset = make_dataset(np.random.default_rng(5))
        file = write(tmp_path, dataset)
        nothing = (np.zeros((0, 4)), np.zeros(0, dtype=int), np.zeros(0))
        metrics = evaluate(file, dataset, [nothing] * len(dataset['images']), metric=['bbox', 'segm', 'proposal'])
        assert metrics['coco/bbox_mAP'] == metrics['coco/segm_mAP'] == metrics['coco/AR@100'] == 0


class TestNaN:
    def test_predictions_that_are_no_number_are_an_error(self, tmp_path):
        dataset = make_dataset(np.random.default_rng(5))
        file = write(tmp_path, dataset)
        nan = (np.full((1, 4), np.nan), np.zeros(1, dtype=int), np.ones(1))
        with pytest.raises(UsageError, match='image id 1: the predicted bboxes hold NaN or inf'):
            evaluate(file, dict(images=dataset['images'][:1]), [nan])
