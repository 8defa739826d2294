"""Which metrics a validation reports, which of them matters most, and what an improvement of it is."""

import difflib
import re
from collections.abc import Iterable, Iterator

from mmengine.config import Config

from convnext_dense.config.tree import bare_type, evaluators
from convnext_dense.errors import UsageError

COCO_METRICS = ('CocoMetric', 'FasterCocoMetric')
COCO_ITEMS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
PROPOSAL_ITEMS = ('AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000')
# The first of each is the one that names the entry of `iou_metrics`.
IOU_ITEMS = {
    'mIoU': ('mIoU', 'aAcc', 'mAcc'),
    'mDice': ('mDice', 'aAcc', 'mAcc'),
    'mFscore': ('mFscore', 'aAcc', 'mPrecision', 'mRecall'),
}
PANOPTIC_ITEMS = tuple(f'{item}{part}' for part in ('', '_th', '_st') for item in ('PQ', 'SQ', 'RQ'))
# By evaluator: the metric that matters most, if it reports others whose names depend on its arguments.
MAIN_METRICS = {
    'VOCMetric': 'pascal_voc/mAP',
    'OpenImagesMetric': 'openimages/mAP',
    'CityScapesMetric': 'cityscapes/mAP',
    'CrowdHumanMetric': 'crowd_human/mAP',
}
LOWER_IS_BETTER = ('mMR', 'rmse', 'abs_rel', 'sq_rel', 'rmse_log', 'silog', 'log10')
IN_PERCENT = frozenset([*PANOPTIC_ITEMS, *(name for names in IOU_ITEMS.values() for name in names)])

# What is logged from 0 to 1: what these evaluators report, and any AP or AR.
FRACTION_PREFIXES = ('coco', 'pascal_voc', 'openimages', 'cityscapes', 'lvis', 'crowd_human')
FRACTION = re.compile(r'(^|_)m?(AP|AR)($|[\d@_])')


def metric_names(cfg: Config) -> list[str]:
    """Return the names of the metrics that a validation reports; nothing if an evaluator is not known here.

    Args:
        cfg: The config.

    Example:
        >>> metric_names(Config(dict(val_evaluator=dict(type='IoUMetric'))))
        ['mIoU', 'aAcc', 'mAcc']
    """
    names = []
    for evaluator in evaluators(cfg, 'val'):
        if bare_type(evaluator.get('type')) in MAIN_METRICS or evaluator.get('classwise'):
            return []
        found = list(_names(evaluator))
        if not found:
            return []
        names += found
    return list(dict.fromkeys(names))


def main_metric(cfg: Config) -> str | None:
    """Return the metric that matters most: PQ, else masks' AP, else boxes' AP, or mIoU; None if none is known.

    Args:
        cfg: The config.

    Example:
        >>> main_metric(Config(dict(val_evaluator=dict(type='CocoMetric', metric=['bbox', 'segm']))))
        'coco/segm_mAP'
    """
    found = [name for evaluator in evaluators(cfg, 'val') if (name := _main_metric(evaluator))]
    return next((name for name in found if name.endswith('PQ')), found[0] if found else None)


def find_metric(cfg: Config, name: str, argument: str) -> str:
    """Return the whole name of a metric that a run's validation reports.

    Args:
        cfg: The config.
        name: The metric, with or without its prefix, or 'auto' for `main_metric`.
        argument: The argument that it was given as.

    Raises:
        UsageError: If the config has no validation, or its evaluators report no such metric.

    Example:
        >>> cfg = Config(dict(val_dataloader=dict(batch_size=1), val_evaluator=dict(type='CocoMetric')))
        >>> find_metric(cfg, 'bbox_mAP', 'save_best')
        'coco/bbox_mAP'
    """
    if not cfg.get('val_dataloader') or not cfg.get('val_evaluator'):
        raise UsageError(f'{argument}: the config has no val_dataloader and val_evaluator, so nothing would be scored.')
    if name == 'auto':
        if main := main_metric(cfg):
            return main
        kinds = ', '.join(bare_type(evaluator.get('type')) for evaluator in evaluators(cfg, 'val'))
        raise UsageError(f'{argument}: which metric of {kinds} matters most is not known; name one.')
    names = metric_names(cfg)
    found = [known for known in names if name in (known, known.rpartition('/')[2])]
    if names and not found:
        nearest = ', '.join(difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3])
        raise UsageError(f'{argument}: the val_evaluator reports no {name}; its nearest metrics are {nearest}.')
    if len(found) > 1 and name not in found:
        raise UsageError(f'{argument}: {name} may be {" or ".join(found)}; give the whole name.')
    return name if name in found or not found else found[0]


def better(name: str) -> str:
    """Return which values of a metric are better, as mmengine's hooks take it: 'greater' or 'less'.

    Args:
        name: The metric.

    Example:
        >>> better('coco_panoptic/PQ'), better('crowd_human/mMR')
        ('greater', 'less')
    """
    last = name.rpartition('/')[2]
    return 'less' if last in LOWER_IS_BETTER or 'loss' in last else 'greater'


def least_rise(name: str) -> float:
    """Return by how much a metric must change to have improved: a tenth of a point, on its own scale.

    Args:
        name: The metric.

    Example:
        >>> least_rise('mIoU'), least_rise('coco/bbox_mAP')
        (0.1, 0.001)
    """
    return 0.1 if name.rpartition('/')[2] in IN_PERCENT else 0.001


def points_factor(name: str) -> float | None:
    """Return what makes a metric's values points, from 0 to 100; None if it has another scale, or an unknown one.

    Args:
        name: The metric.

    Example:
        >>> [points_factor(name) for name in ('mIoU', 'coco_panoptic/PQ', 'coco/bbox_mAP_50', 'rmse')]
        [1.0, 1.0, 100.0, None]
    """
    prefix, _, last = name.rpartition('/')
    if last in IN_PERCENT:
        return 1.0
    return 100.0 if prefix.rpartition('/')[2] in FRACTION_PREFIXES or FRACTION.search(last) else None


def _names(evaluator: dict) -> Iterator[str]:
    """Yield what an evaluator reports, the most important first; nothing if that is not known."""
    kind = bare_type(evaluator.get('type'))
    if kind in COCO_METRICS:
        prefix, names = evaluator.get('prefix') or 'coco', _coco_names(evaluator)
    elif kind == 'CocoPanopticMetric':
        prefix, names = evaluator.get('prefix') or 'coco_panoptic', PANOPTIC_ITEMS
    elif kind == 'IoUMetric':
        metrics = _list(evaluator.get('iou_metrics', 'mIoU'))
        prefix, names = evaluator.get('prefix'), (name for metric in metrics for name in IOU_ITEMS.get(metric, ()))
    else:
        return
    yield from (f'{prefix}/{name}' if prefix else name for name in names)


def _coco_names(evaluator: dict) -> Iterator[str]:
    items = evaluator.get('metric_items')
    for metric in _list(evaluator.get('metric', 'bbox')):
        if metric == 'proposal_fast':
            yield from (f'AR@{number}' for number in evaluator.get('proposal_nums', (100, 300, 1000)))
        elif metric == 'proposal':
            yield from items or PROPOSAL_ITEMS
        else:
            yield from (f'{metric}_{item}' for item in items or COCO_ITEMS)


def _main_metric(evaluator: dict) -> str | None:
    if evaluator.get('format_only'):
        return None
    kind = bare_type(evaluator.get('type'))
    if kind == 'LVISMetric':
        return f'lvis/{"segm" if "segm" in _list(evaluator.get("metric", "bbox")) else "bbox"}_AP'
    names = list(_names(evaluator))
    masks = [name for name in names if name.rpartition('/')[2] == 'segm_mAP']
    return next(iter([*masks, *names]), MAIN_METRICS.get(kind))


def _list(value: str | Iterable[str]) -> list[str]:
    # What is none of these is said when the metric is built.
    return [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else []
