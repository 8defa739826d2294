"""COCO's metrics with faster-coco-eval."""

import json
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from mmdet.evaluation.functional import eval_recalls
from mmdet.evaluation.metrics import coco_metric
from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from torch import Tensor

from convnext_dense.config.custom_imports import import_package
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.coco_scores import AREAS, NumberedTruth, Scores, is_faster, number_truth, rle, score
from convnext_dense.evaluation.coco_tables import class_table, coco_table
from convnext_dense.evaluation.post_processing.late_masks import encode
from convnext_dense.registry import METRICS, SCOPE

NAME = f'{SCOPE}.FasterCocoMetric'
# Not its subclasses, such as LVISMetric, which evaluate differently.
REPLACED = ('CocoMetric', 'mmdet.CocoMetric', coco_metric.CocoMetric)
# The numbers of detections that mmdet's names of AR have.
MMDET_NUMBERS = (100, 300, 1000)


def use_faster_coco_eval(cfg: Config) -> None:
    """Replace mmdet's `CocoMetric` with `FasterCocoMetric` in a config's evaluators.

    Args:
        cfg: The config, which is changed unless no evaluator is a `CocoMetric`.

    Example:
        >>> cfg = Config(dict(test_evaluator=dict(type='CocoMetric', metric='bbox')))
        >>> use_faster_coco_eval(cfg)
        >>> cfg.test_evaluator.type
        'convnext_dense.FasterCocoMetric'
    """
    replaced = [_replace_type(cfg.get(f'{split}_evaluator') or []) for split in ('val', 'test')]
    if any(replaced):
        import_package(cfg)


def _replace_type(evaluator: dict | list) -> bool:
    """Replace the type in an evaluator, in a list of them, or in one that holds others as ``metrics``."""
    if isinstance(evaluator, list):
        return any([_replace_type(item) for item in evaluator])
    if evaluator.get('type') in REPLACED:
        evaluator['type'] = NAME
        return True
    return _replace_type(evaluator.get('metrics') or [])


@cache
def _log_fallback_once() -> None:
    print_log(
        'faster-coco-eval is not installed; falling back to pycocotools (same results, slower). '
        'To install it: pip install faster-coco-eval',
        logger='current',
    )


@METRICS.register_module()
class FasterCocoMetric(coco_metric.CocoMetric):
    """A faster `CocoMetric` with COCO's numbers. It takes mmdet's arguments.

    The package ``faster-coco-eval`` matches detections and accumulates the matches; where it is not installed,
    pycocotools does. Predictions reach it in memory; ``outfile_prefix`` writes mmdet's files besides. ``use_mp_eval``
    starts no processes.

    The numbers are pycocotools', and mmdet's, except where those are none or another's:

    - Ids may be anything that JSON allows. The evaluation has ids of its own.
    - Without a detection, every AP is 0. mmdet has no metric then.
    - AP counts 100 detections an image if that is one of ``proposal_nums``, as in pycocotools, otherwise the last of
      them, as with ``use_mp_eval``. An AR is named by its number of detections.
    - ``classwise`` names the classes rightly if the file has its categories in another order than their ids'.

    Raises:
        UsageError: If two images of the annotation file have one id, or an argument has a value that does not exist.

    Reference:
        https://github.com/MiXaiLL76/faster_coco_eval

    Example:
        >>> val_evaluator = dict(type='convnext_dense.FasterCocoMetric', ann_file='...', metric=['bbox', 'segm'])
    """

    _coco_api: Any
    cat_ids: Any
    img_ids: Any
    outfile_prefix: Any

    def __init__(self, ann_file: str | None = None, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - mmdet's
        super().__init__(ann_file, *args, **kwargs)
        self.ann_file = ann_file
        self._check_numbers()
        if self._coco_api is not None:
            self._check_images(self._coco_api.dataset)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep a batch's predictions.

        Raises:
            UsageError: If they are no numbers, or have no masks and masks are evaluated.
        """
        super().process(data_batch, [_with_encoded_masks(sample) for sample in data_samples])
        for _, prediction in self.results[-len(data_samples) :]:
            for name in ('bboxes', 'scores'):
                if not np.isfinite(prediction[name]).all():
                    raise UsageError(f'image id {prediction["img_id"]!r}: the predicted {name} hold NaN or inf.')
            if 'segm' in self.metrics and 'masks' not in prediction:
                raise UsageError("the metric 'segm' needs masks, and the model predicts none; write metric='bbox'.")

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the metrics of all predictions."""
        if not is_faster():
            _log_fallback_once()
        logger = MMLogger.get_current_instance()
        samples, predictions = (list(part) for part in zip(*results, strict=True)) if results else ([], [])
        found = predictions
        dataset, image_ids, predictions = self._match(samples, predictions)
        names = {category['id']: category.get('name') for category in dataset['categories']}
        if self.cat_ids is None:
            classes = self.dataset_meta['classes']
            self.cat_ids = [category['id'] for category in dataset['categories'] if category['name'] in classes]
        self._check_predictions(predictions, image_ids)
        if self.outfile_prefix is not None and found:
            self.results2json(found, self.outfile_prefix)
        if self.format_only:
            logger.info(f'results are saved in {Path(self.outfile_prefix).parent}')
            return OrderedDict()
        sizes = {sample['img_id']: (sample['height'], sample['width']) for sample in samples}
        try:
            truth = number_truth(dataset, image_ids, self.cat_ids, sizes, 'segm' in self.metrics)
        except UsageError as error:
            raise UsageError(f'{self.ann_file}: {error}') from error
        metrics: dict[str, float] = OrderedDict()
        for metric in self.metrics:
            logger.info(f'Evaluating {metric}...')
            if metric == 'proposal_fast':
                metrics.update(self._fast_recalls(truth, predictions, logger))
                continue
            iou_type = 'bbox' if metric == 'proposal' else metric
            records = self._records(truth, predictions, iou_type)
            use_categories = metric != 'proposal'
            scores = score(truth, records, iou_type, self.proposal_nums, self.iou_thrs, self.cat_ids, use_categories)
            if self.use_mp_eval:
                scores.ap_number = scores.numbers[-1]
            logger.info('\n' + coco_table(scores))
            if use_categories and self.classwise:
                order = sorted({truth.categories[key] for key in self.cat_ids})
                rows = {
                    names[key]: scores.class_aps(order.index(truth.categories[key]))
                    for key in dict.fromkeys(self.cat_ids)
                }
                metrics.update({f'{name}_precision': round(row[0], 3) for name, row in rows.items()})
                logger.info('\n' + class_table(rows))
            prefix = f'{metric}_' if use_categories else ''
            metrics.update({f'{prefix}{item}': value for item, value in self._items(scores, use_categories).items()})
        return metrics

    def _check_numbers(self) -> None:
        if not self.proposal_nums or not all(
            isinstance(count, int | np.integer) and count > 0 for count in self.proposal_nums
        ):
            raise UsageError(f'proposal_nums: they are whole numbers of detections; got {self.proposal_nums}.')
        known = _item_names(sorted(set(self.proposal_nums)))
        for item in self.metric_items or ():
            if item not in known:
                raise UsageError(f'metric_items: there is no {item!r}; there are {", ".join(known)}.')

    def _check_images(self, dataset: dict) -> None:
        files: dict[Hashable, object] = {}
        for image in dataset.get('images') or ():
            file = image.get('file_name')
            if files.setdefault(image['id'], file) != file:
                raise UsageError(
                    f'{self.ann_file}: the images {files[image["id"]]} and {file} have one id, {image["id"]!r}; '
                    'give each image an id of its own.'
                )

    def _match(self, samples: list[dict], predictions: list[dict]) -> tuple[dict, list[Hashable], list[dict]]:
        """Return the annotations, the ids of the images to evaluate, and the predictions of images by these ids."""
        if self._coco_api is not None:
            if self.img_ids is None:
                self.img_ids = self._coco_api.get_img_ids()
            return self._coco_api.dataset, list(self.img_ids), predictions
        if self.outfile_prefix is not None:
            self.gt_to_coco_json(samples, self.outfile_prefix)
        # The samples hold the annotations, so that images of several datasets may have one id.
        numbered = [{**sample, 'img_id': i} for i, sample in enumerate(samples)]
        with TemporaryDirectory() as folder:
            dataset = json.loads(Path(self.gt_to_coco_json(numbered, f'{folder}/results')).read_text())
        for i, sample in enumerate(samples):
            sample['img_id'] = i
        return dataset, list(range(len(samples))), [{**record, 'img_id': i} for i, record in enumerate(predictions)]

    def _check_predictions(self, predictions: list[dict], image_ids: list[Hashable]) -> None:
        known, seen = set(image_ids), set()
        for prediction in predictions:
            image = prediction['img_id']
            if image not in known:
                raise UsageError(f'{self.ann_file}: it has no image of id {image!r}, which the dataset has.')
            if image in seen:
                raise UsageError(f'image id {image!r} was predicted twice; the dataset holds it twice.')
            seen.add(image)
            if len(prediction['labels']) and max(prediction['labels']) >= len(self.cat_ids):
                raise UsageError(
                    f'{self.ann_file or "the dataset"} has {len(self.cat_ids)} of the classes, and the model predicts '
                    f'label {max(prediction["labels"])}.'
                )

    def _records(self, truth: NumberedTruth, predictions: list[dict], iou_type: str) -> list[dict]:
        """Return the predictions as pycocotools takes them, under the truth's numbers."""
        categories = [truth.categories[key] for key in self.cat_ids]
        records = []
        shapes: list[Any]
        for prediction in predictions:
            image = truth.images[prediction['img_id']]
            labels = prediction['labels'].tolist()
            if iou_type == 'segm':
                shapes = [dict(segmentation=_decode_counts(mask)) for mask in prediction['masks']]
                # Of the mask: pycocotools would take the box's if there were one.
                areas = rle.area([shape['segmentation'] for shape in shapes]).tolist() if shapes else []
                scores = prediction.get('mask_scores', prediction['scores']).tolist()
            else:
                boxes = prediction['bboxes'].astype(float).reshape(-1, 4)
                boxes[:, 2:] -= boxes[:, :2]
                shapes = [dict(bbox=box) for box in boxes.tolist()]
                areas = (boxes[:, 2] * boxes[:, 3]).tolist()
                scores = prediction['scores'].tolist()
            for label, shape, area, confidence in zip(labels, shapes, areas, scores, strict=True):
                shape.update(image_id=image, category_id=categories[label], area=area, score=confidence)
            records += shapes
        return records

    def _fast_recalls(self, truth: NumberedTruth, predictions: list[dict], logger: MMLogger) -> dict[str, float]:
        objects: dict[int, list] = {image: [] for image in truth.images.values()}
        for annotation in truth.annotations:
            if not annotation['iscrowd'] and not annotation['is_ignored']:
                x, y, width, height = annotation['bbox']
                objects[annotation['image_id']].append([x, y, x + width, y + height])
        found = {truth.images[prediction['img_id']]: prediction['bboxes'] for prediction in predictions}
        recalls = eval_recalls(
            [np.reshape(boxes, (-1, 4)).astype(np.float32) for boxes in objects.values()],
            [found.get(image, np.zeros((0, 4), np.float32)) for image in objects],
            self.proposal_nums,
            self.iou_thrs,
            logger=logger,
        )
        return {f'AR@{count}': value for count, value in zip(self.proposal_nums, recalls.mean(axis=1), strict=True)}

    def _items(self, scores: Scores, use_categories: bool) -> dict[str, float]:
        names = _item_names(scores.numbers)
        default = [name for name in names if name.startswith('mAP' if use_categories else 'AR')]
        if not use_categories:
            default = default[: len(scores.numbers) + 3]
        values = {}
        for item in self.metric_items or default:
            kind, argument, area = names[item]
            if kind == 'AR':
                value = scores.ar(area, argument)
            else:
                value = scores.ap(argument, area, scores.ap_number if item == 'mAP' else None)
            values[item] = float(f'{value:.3f}')
        return values


def _item_names(numbers: list[int]) -> dict[str, tuple]:
    """Return the names that `metric_items` may have: whether it is AP or AR, its threshold or number, and its area."""
    names = dict(mAP=('AP', None, 'all'), mAP_50=('AP', 0.5, 'all'), mAP_75=('AP', 0.75, 'all'))
    names |= {f'mAP_{area[0]}': ('AP', None, area) for area in AREAS[1:]}
    names |= {f'AR@{count}': ('AR', count, 'all') for count in numbers}
    names |= {f'AR_{area[0]}@{numbers[-1]}': ('AR', numbers[-1], area) for area in AREAS[1:]}
    # What mmdet calls the first, second and last of three numbers, whatever they are.
    if len(numbers) == len(MMDET_NUMBERS):
        for mmdet_number, count in zip(MMDET_NUMBERS, numbers, strict=True):
            names.setdefault(f'AR@{mmdet_number}', ('AR', count, 'all'))
    for area in AREAS[1:]:
        names.setdefault(f'AR_{area[0]}@{MMDET_NUMBERS[-1]}', ('AR', numbers[-1], area))
    return names


def _with_encoded_masks(sample: dict) -> dict:
    """Return a sample, whose masks are run lengths, without changing it: other metrics get it, too."""
    found = sample['pred_instances']
    has_masks = isinstance(found.get('masks'), Tensor)
    return {**sample, 'pred_instances': {**found, 'masks': encode(found['masks'])}} if has_masks else sample


def _decode_counts(mask: dict) -> dict:
    """Return a run-length encoding whose counts are a string, as in JSON."""
    counts = mask['counts']
    return {**mask, 'counts': counts.decode()} if isinstance(counts, bytes) else mask
