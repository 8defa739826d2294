"""COCO's metrics with faster-coco-eval."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from mmdet.datasets.api_wrappers import COCOeval, COCOevalMP
from mmdet.evaluation.metrics import coco_metric
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.logging import print_log

from convnext_dense.config.custom_imports import import_package
from convnext_dense.registry import METRICS, SCOPE

try:
    from faster_coco_eval import COCOeval_faster
except ImportError:
    COCOeval_faster = None

NAME = f'{SCOPE}.FasterCocoMetric'
# Not its subclasses, such as LVISMetric, which evaluate differently.
REPLACED = ('CocoMetric', 'mmdet.CocoMetric', coco_metric.CocoMetric)


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


class _FasterMatching:
    """Replaces the matching and accumulation of a pycocotools evaluator with faster-coco-eval's, which are C++.

    The evaluator keeps its own summary, because faster-coco-eval's reports AP at the last of `maxDets` in place of 100.
    """

    eval: Any

    def evaluate(self) -> None:
        """Match detections to annotations, and accumulate the matches."""
        if COCOeval_faster is None:
            super().evaluate()
            return
        matching = COCOeval_faster(self.cocoGt, self.cocoDt, self.params.iouType)
        for name in ('imgIds', 'catIds', 'iouThrs', 'maxDets', 'useCats'):
            setattr(matching.params, name, getattr(self.params, name))
        matching.evaluate()
        matching.accumulate()
        self.params.maxDets = matching.params.maxDets
        self.eval = matching.eval

    def accumulate(self) -> None:
        """Accumulate, unless `evaluate` has done so."""
        if COCOeval_faster is None:
            super().accumulate()


class _COCOeval(_FasterMatching, COCOeval):
    pass


class _COCOevalMP(_FasterMatching, COCOevalMP):
    pass


def _load(predictions: str | list[dict]) -> list[dict]:
    """Return predictions from a file, or copies of those that `results2json` returned."""
    # pycocotools writes into them.
    return load(predictions) if isinstance(predictions, str) else [dict(record) for record in predictions]


@contextmanager
def _replace_names(module: ModuleType, **objects: object) -> Generator[None]:
    """Replace some of a module's globals inside the block."""
    originals = {name: getattr(module, name) for name in objects}
    vars(module).update(objects)
    try:
        yield
    finally:
        vars(module).update(originals)


@cache
def _log_fallback_once() -> None:
    print_log(
        'faster-coco-eval is not installed; falling back to pycocotools (same results, slower). '
        'To install it: pip install faster-coco-eval',
        logger='current',
    )


@METRICS.register_module()
class FasterCocoMetric(coco_metric.CocoMetric):
    """A faster `CocoMetric` with identical results. It takes mmdet's arguments.

    The package ``faster-coco-eval`` matches detections and accumulates the matches; where it is not installed,
    pycocotools does. Predictions reach it in memory, unless ``outfile_prefix`` asks for files. With
    ``faster-coco-eval``, ``use_mp_eval`` starts no processes; it only selects mmdet's other summary, whose AP counts
    the last of ``proposal_nums`` detections an image in place of 100.

    Reference:
        https://github.com/MiXaiLL76/faster_coco_eval

    Example:
        >>> val_evaluator = dict(type='convnext_dense.FasterCocoMetric', ann_file='...', metric=['bbox', 'segm'])
    """

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the metrics of all predictions."""
        if COCOeval_faster is None:
            _log_fallback_once()
        with _replace_names(coco_metric, COCOeval=_COCOeval, COCOevalMP=_COCOevalMP, load=_load):
            return super().compute_metrics(results)

    def results2json(self, results: Sequence[dict], outfile_prefix: str) -> dict[str, str | list[dict]]:
        """Return COCO's records of the predictions, by metric. With ``outfile_prefix``, return their files instead.

        mmdet always writes the files and reads them again, which takes longer than faster-coco-eval's part.
        """
        if self.outfile_prefix is not None:
            return super().results2json(results, outfile_prefix)
        boxes, masks = [], []
        for i, result in enumerate(results):
            image_id = result.get('img_id', i)
            corners = result['bboxes'].astype(float).reshape(-1, 4)
            corners[:, 2:] -= corners[:, :2]
            scores = result['scores'].tolist()
            heads = [dict(image_id=image_id, category_id=self.cat_ids[label]) for label in result['labels'].tolist()]
            for head, box, score in zip(heads, corners.tolist(), scores, strict=True):
                boxes.append(dict(head, bbox=box, score=score))
            if 'masks' not in results[0]:
                continue
            mask_scores = result['mask_scores'].tolist() if 'mask_scores' in result else scores
            for head, box, mask, score in zip(heads, corners.tolist(), result['masks'], mask_scores, strict=True):
                masks.append(dict(head, bbox=box, segmentation=_decode_counts(mask), score=score))
        records: dict[str, str | list[dict]] = dict(bbox=boxes, proposal=boxes)
        return {**records, 'segm': masks} if 'masks' in results[0] else records


def _decode_counts(mask: dict) -> dict:
    """Return a run-length encoding whose counts are a string, as in JSON."""
    counts = mask['counts']
    return {**mask, 'counts': counts.decode()} if isinstance(counts, bytes) else mask
