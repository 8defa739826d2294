"""A hook that times the parts of testing: data, model, post-processing, encoding, metric."""

import copy
import functools
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner

from benchmarks.measure import synchronize
from benchmarks.metric_comparison import is_coco
from convnext_dense.evaluation.faster_coco_metric import FasterCocoMetric

# In the order in which a batch passes them. `model` is all of the test step but `post-processing`.
PARTS = ('data', 'model', 'post-processing', 'encoding')
# The heads' and mmseg's methods that make predictions of maps: NMS, mask pasting, the resize to the image.
POST_PROCESSING = ('predict_by_feat', 'postprocess_result')
# mmdet's Mask2Former makes its predictions in one of these.
FUSION_HEADS = ('panoptic_fusion_head',)


@dataclass
class Batch:
    """The seconds that a batch spent in each part."""

    images: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def per_image(self, part: str) -> float:
        """Return a part's seconds for an image."""
        return self.seconds[part] / self.images


class Stopwatch(Hook):
    """Times each batch's parts; as the last hook, so that the others' work between batches is none of the data's.

    Args:
        device: Where the model is; it is waited for at the borders of the parts.
        keep_results: Whether to keep what COCO's metrics were given.

    Attributes:
        batches: The batches, in order.
        heads: The methods that do post-processing, by the path of their module.
        metric_seconds: What the metrics took after the last batch.
        kept: COCO's metrics and what they were given, where another is to be given the same.
    """

    def __init__(self, device: torch.device, keep_results: bool) -> None:
        self.batches: list[Batch] = []
        self.heads: list[str] = []
        self.metric_seconds = 0.0
        self.kept: list[tuple[FasterCocoMetric, list]] = []
        self._device = device
        self._keep_results = keep_results
        self._batch = Batch()
        self._depth = 0
        self._last = 0.0

    def before_test_epoch(self, runner: Runner) -> None:
        """Put clocks around the parts."""
        evaluator = runner.test_evaluator
        model = runner.model
        for path, module in model.named_modules():
            for name in POST_PROCESSING + ('predict',) * path.endswith(FUSION_HEADS):
                if hasattr(module, name):
                    setattr(module, name, self._clocked(getattr(module, name), f'{path}.{name}'.lstrip('.')))
        model.test_step = self._clocked_step(model.test_step)
        evaluator.process = self._clocked_process(evaluator.process)
        evaluator.evaluate = self._clocked_evaluate(evaluator)
        self._fit_to_images(runner)
        self._last = self._now()

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """End the wait for the batch."""
        self._batch = Batch(len(data_batch['inputs']))
        self._batch.seconds['data'] = time.perf_counter() - self._last

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: list | None = None
    ) -> None:
        """Keep the batch, and begin to wait for the next one."""
        self.batches.append(self._batch)
        self._last = time.perf_counter()

    def _now(self) -> float:
        synchronize(self._device)
        return time.perf_counter()

    def _clocked(self, method: Callable, name: str) -> Callable:
        @functools.wraps(method)
        def timed(*args: object, **kwargs: object) -> object:
            if self._depth:
                # A part of the head that calls it.
                return method(*args, **kwargs)
            self._depth += 1
            start = self._now()
            try:
                return method(*args, **kwargs)
            finally:
                elapsed = self._now() - start
                self._depth -= 1
                self._batch.seconds[name] += elapsed
                self._batch.seconds['post-processing'] += elapsed
                if name not in self.heads:
                    self.heads.append(name)

        return timed

    def _clocked_step(self, test_step: Callable) -> Callable:
        @functools.wraps(test_step)
        def timed(data_batch: dict) -> list:
            start = self._now()
            outputs = test_step(data_batch)
            self._batch.seconds['model'] = self._now() - start - self._batch.seconds['post-processing']
            return outputs

        return timed

    def _clocked_process(self, process: Callable) -> Callable:
        @functools.wraps(process)
        def timed(data_samples: list, data_batch: dict | None = None) -> None:
            start = self._now()
            process(data_samples, data_batch)
            self._batch.seconds['encoding'] = self._now() - start

        return timed

    def _clocked_evaluate(self, evaluator: Evaluator) -> Callable:
        evaluate = evaluator.evaluate

        @functools.wraps(evaluate)
        def timed(size: int) -> dict:
            if self._keep_results:
                self.kept = [(metric, copy.deepcopy(metric.results)) for metric in evaluator.metrics if is_coco(metric)]
            start = self._now()
            values = evaluate(size)
            self.metric_seconds = self._now() - start
            return values

        return timed

    def _fit_to_images(self, runner: Runner) -> None:
        """Have COCO's metrics count the images that are tested, when those are not all."""
        dataset = runner.test_dataloader.dataset
        for metric in runner.test_evaluator.metrics:
            if is_coco(metric) and hasattr(dataset, 'get_data_info'):
                metric.img_ids = [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]
