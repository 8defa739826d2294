"""Times COCO's metric against mmdet's, on the same predictions."""

import copy
import functools
from collections.abc import Callable

import numpy as np
import torch
from mmdet.evaluation import CocoMetric
from mmengine.config import Config
from mmengine.evaluator import BaseMetric

from benchmarks.measure import ratio_in_turn, time_in_turn
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.faster_coco_metric import NAME as FASTER_COCO_METRIC
from convnext_dense.evaluation.faster_coco_metric import FasterCocoMetric, use_faster_coco_eval


def is_coco(metric: BaseMetric) -> bool:
    """Return whether a metric is one that can be compared."""
    return type(metric) is FasterCocoMetric


def check_for_coco_metric(cfg: Config) -> None:
    """Have a config test by a metric that can be compared.

    Raises:
        UsageError: If its metrics are others.
    """
    use_faster_coco_eval(cfg)
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    if all(each.get('type') != FASTER_COCO_METRIC for each in evaluators):
        raise UsageError("--against-mmdet: the config's test_evaluator is no CocoMetric, which could be timed so.")


def compare_with_mmdet(metric: FasterCocoMetric, results: list, rounds: int = 3) -> dict:
    """Time a metric against mmdet's, in turn, on the same predictions.

    Args:
        metric: The metric.
        results: What it kept of the predictions.
        rounds: How often each is timed.

    Returns:
        The seconds of ``ours`` and ``mmdet``, the ``ratio``, how many times as fast as mmdet's ours is, and the
        ``largest_difference`` between their values.
    """
    # Each run has a copy of its own: both write into annotations and predictions.
    prepared = {
        name: [_twin(metric, kind, results) for _ in range(rounds)]
        for name, kind in (('ours', FasterCocoMetric), ('mmdet', CocoMetric))
    }
    values = {}

    def run(name: str) -> None:
        values[name] = prepared[name].pop()()

    calls = {name: functools.partial(run, name) for name in prepared}
    seconds = time_in_turn(calls, torch.device('cpu'), rounds=rounds, warm_up=0)
    differences = [abs(values['ours'][name] - values['mmdet'][name]) for name in values['mmdet']]
    return dict(
        seconds,
        ratio=ratio_in_turn(seconds['ours'], seconds['mmdet']),
        largest_difference=float(np.nanmax(differences, initial=0.0)),
    )


def _twin(metric: FasterCocoMetric, kind: type[CocoMetric], results: list) -> Callable[[], dict]:
    twin = copy.copy(metric)
    twin._coco_api = copy.deepcopy(metric._coco_api)
    twin.__class__ = kind
    return functools.partial(twin.compute_metrics, copy.deepcopy(results))
