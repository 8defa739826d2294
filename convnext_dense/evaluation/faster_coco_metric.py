"""COCO's metrics by faster-coco-eval, and the switch that puts them into a config."""

import types
from collections.abc import Sequence
from functools import cache

from mmdet.datasets.api_wrappers import COCOeval, COCOevalMP
from mmdet.evaluation.metrics import coco_metric
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.logging import print_log
from torch import Tensor

from convnext_dense.config.custom_imports import import_package
from convnext_dense.evaluation.mask_encoding import encode_masks
from convnext_dense.registry import METRICS, SCOPE

try:
    from faster_coco_eval import COCOeval_faster
except ImportError:
    COCOeval_faster = None

NAME = f'{SCOPE}.FasterCocoMetric'
# Its subclasses, such as LVISMetric, evaluate otherwise.
REPLACED = ('CocoMetric', 'mmdet.CocoMetric', coco_metric.CocoMetric)


def use_faster_coco_eval(cfg: Config) -> None:
    """Evaluate a detector by `FasterCocoMetric` wherever the config names mmdet's `CocoMetric`.

    Args:
        cfg: The config; one that names none stays as it is.

    Example:
        >>> cfg = Config(dict(test_evaluator=dict(type='CocoMetric', metric='bbox')))
        >>> use_faster_coco_eval(cfg)
        >>> cfg.test_evaluator.type
        'convnext_dense.FasterCocoMetric'
    """
    replaced = [_replace(cfg.get(f'{split}_evaluator') or []) for split in ('val', 'test')]
    if any(replaced):
        import_package(cfg)


def _replace(evaluator: dict | list) -> bool:
    """Replace the type in an evaluator, a list of them, or one that holds others as ``metrics``."""
    if isinstance(evaluator, list):
        return any([_replace(each) for each in evaluator])
    if evaluator.get('type') in REPLACED:
        evaluator['type'] = NAME
        return True
    return _replace(evaluator.get('metrics') or [])


class _FasterMatching:
    """Puts faster-coco-eval's matching and accumulation, in C++, under an evaluator of pycocotools' kind.

    The summary stays the evaluator's own: faster-coco-eval's has AP at the last of `maxDets`, pycocotools' at 100.
    """

    def evaluate(self) -> None:
        """Match detections to annotations, and accumulate what matched."""
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
        """Accumulate, unless `evaluate` has."""
        if COCOeval_faster is None:
            super().accumulate()


class _COCOeval(_FasterMatching, COCOeval):
    pass


class _COCOevalMP(_FasterMatching, COCOevalMP):
    pass


def _load(predictions: str | list[dict]) -> list[dict]:
    """Return predictions that the evaluation may write into: from a file, or as `results2json` handed them on."""
    return load(predictions) if isinstance(predictions, str) else [dict(each) for each in predictions]


def _with_names(method: types.FunctionType, names: dict[str, object]) -> types.FunctionType:
    """Return a method that finds other objects by some of its module's names; the module and the method stay."""
    own = types.FunctionType(method.__code__, {**method.__globals__, **names}, method.__name__, method.__defaults__)
    own.__doc__ = method.__doc__
    own.__annotations__ = method.__annotations__
    return own


@cache
def _tell_of_pycocotools() -> None:
    print_log(
        'faster-coco-eval is not installed: pycocotools evaluates, with the same numbers, later. '
        'To install it: pip install faster-coco-eval',
        logger='current',
    )


@METRICS.register_module()
class FasterCocoMetric(coco_metric.CocoMetric):
    """mmdet's `CocoMetric`, with the same arguments and the same numbers, sooner.

    Detections are matched and accumulated by the package ``faster-coco-eval`` where it is installed, and by pycocotools
    where it is not. Predictions pass to it in memory, unless ``outfile_prefix`` asks for them as files. With
    ``faster-coco-eval``, ``use_mp_eval`` starts no processes; it chooses mmdet's other summary, whose AP counts the
    last of ``proposal_nums`` detections in place of 100.

    Args:
        *args: The arguments of `CocoMetric`.
        encode_on_device: Whether masks on a GPU are encoded there, by tensor operations, and not copied from it to be
            encoded by pycocotools. Which is faster is not measured.
        **kwargs: The named arguments of `CocoMetric`.

    Example:
        >>> val_evaluator = dict(type='convnext_dense.FasterCocoMetric', ann_file='...', metric=['bbox', 'segm'])
    """

    compute_metrics = _with_names(
        coco_metric.CocoMetric.compute_metrics, dict(COCOeval=_COCOeval, COCOevalMP=_COCOevalMP, load=_load)
    )

    def __init__(self, *args: object, encode_on_device: bool = False, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.encode_on_device = encode_on_device

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep a batch's predictions, the masks encoded."""
        if self.encode_on_device:
            data_samples = [_encoded(sample) for sample in data_samples]
        super().process(data_batch, data_samples)

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute the metrics of all that was kept."""
        if COCOeval_faster is None:
            _tell_of_pycocotools()
        return super().evaluate(size)

    def results2json(self, results: Sequence[dict], outfile_prefix: str) -> dict[str, str | list[dict]]:
        """Return COCO's records of the predictions by metric: as files where files are asked for, else themselves.

        In mmdet, writing and reading the files takes longer than faster-coco-eval's part.
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
                masks.append(dict(head, bbox=box, segmentation=_as_text(mask), score=score))
        records = dict(bbox=boxes, proposal=boxes)
        return {**records, 'segm': masks} if 'masks' in results[0] else records


def _encoded(sample: dict) -> dict:
    """Return a data sample with its masks encoded; the sample itself stays, for other metrics."""
    instances = sample['pred_instances']
    if not isinstance(instances.get('masks'), Tensor):
        return sample
    return {**sample, 'pred_instances': {**instances, 'masks': encode_masks(instances['masks'])}}


def _as_text(mask: dict) -> dict:
    """Return a run-length encoding whose counts are text, as JSON has it."""
    counts = mask['counts']
    return {**mask, 'counts': counts.decode()} if isinstance(counts, bytes) else mask
