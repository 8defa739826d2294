"""Scores of any model's results on a config's validation set, by the config's own metric."""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from convnext_dense.config.training_options.metrics import main_metric
from convnext_dense.errors import UsageError
from convnext_dense.results.result import Result


def validation_score(cfg: Config, predict: Callable[[list[str]], Iterable[Result]]) -> float:
    """Return a model's score on a config's validation set, as its main metric counts.

    Args:
        cfg: The config. Its parts are looked up in the current scope.
        predict: Returns the results of files, in their order.

    Raises:
        UsageError: If the config has no validation set, or it is not there.
    """
    loader, metric = cfg.get('val_dataloader'), main_metric(cfg)
    if not loader or not metric:
        raise UsageError('benchmark: the config has no validation whose main metric is known.')
    with redirect_stdout(io.StringIO()):
        dataset = DATASETS.build(loader['dataset'])
        evaluator = Evaluator(cfg.val_evaluator)
        evaluator.dataset_meta = dataset.metainfo
        files = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
        for sample, result in zip(_samples(dataset), predict(files), strict=True):
            fill(sample, result)
            evaluator.process([sample])
        scores = evaluator.evaluate(len(dataset))
    # Without any object, COCO's metric has no score.
    return float(scores.get(metric, 0.0))


def fill(sample: BaseDataElement, result: Result) -> None:
    """Put a result into a data sample, as a model's test puts it there.

    Args:
        sample: mmdet's or mmseg's data sample, which is changed.
        result: The result.
    """
    if result.semantic is not None:
        sample.pred_sem_seg = PixelData(data=torch.from_numpy(result.semantic)[None])
        return
    found = InstanceData()
    for name, value in (('bboxes', result.boxes), ('labels', result.labels), ('scores', result.scores)):
        found[name] = torch.from_numpy(value)
    if result.masks is not None:
        found['masks'] = torch.from_numpy(np.asarray(result.masks))
    sample.pred_instances = found


def _samples(dataset: Any) -> Iterator[BaseDataElement]:  # noqa: ANN401
    for i in range(len(dataset)):
        yield dataset[i]['data_samples']
