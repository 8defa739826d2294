"""Where the time of testing goes: data, model, post-processing, encoding, metric."""

import contextlib
import copy
import functools
import io
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from mmdet.evaluation import CocoMetric
from mmengine.config import Config, ConfigDict
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner

from convnext_dense.benchmarks.measurement import (
    default_device,
    describe_machine,
    format_table,
    percentile,
    ratio_in_turn,
    synchronize,
    time_in_turn,
)
from convnext_dense.engine.config import check_checkpoint, check_data
from convnext_dense.engine.evaluation_runner import EvaluationRunner
from convnext_dense.engine.faster_coco_metric import NAME as FASTER_COCO_METRIC
from convnext_dense.engine.faster_coco_metric import FasterCocoMetric, use_faster_coco_eval
from convnext_dense.engine.run import build_runner
from convnext_dense.engine.training_cost import RSS_UNIT
from convnext_dense.errors import UsageError

# In the order in which a batch passes them. `model` is all of the test step but `post-processing`.
PARTS = ('data', 'model', 'post-processing', 'encoding')
# The heads' and mmseg's methods that make predictions of maps: NMS, mask pasting, the resize to the image.
POST_PROCESSING = ('predict_by_feat', 'postprocess_result')
# mmdet's Mask2Former makes its predictions in one of these.
FUSION_HEADS = ('panoptic_fusion_head',)
# Loading workers start, and memory is allocated and kernels are chosen, in the first batches.
WARM_UP = 2
RANDOM_WEIGHTS = (
    'The weights are random: post-processing and the metric see few detections, or odd ones. Give a --checkpoint.'
)


@dataclass
class EvaluationTimes:
    """What testing took.

    Args:
        machine: As of `describe_machine`.
        images: How many images the times are of, those of the first batches left out.
        batch_size: How many images a batch has.
        seconds: Of each batch after the first ones, the seconds per image, by part.
        post_processing: The same of each head's part of the post-processing.
        metric_seconds: What the metrics took after the last batch, for all `metric_images`.
        metric_images: How many images the metrics are of.
        peak_memory: In bytes: on a GPU what PyTorch allocated, else the process's resident memory.
        metrics: The metrics' values.
        note: What to know when reading.
        against_mmdet: As of `compare_with_mmdet`, if it was asked for.
    """

    machine: dict
    images: int
    batch_size: int
    seconds: dict[str, list[float]]
    post_processing: dict[str, list[float]]
    metric_seconds: float
    metric_images: int
    peak_memory: int
    metrics: dict[str, float]
    note: str = ''
    against_mmdet: dict = field(default_factory=dict)

    @property
    def metric_per_image(self) -> float:
        """The metric's seconds for an image."""
        return self.metric_seconds / self.metric_images

    @property
    def images_per_second(self) -> float:
        """How many images are tested in a second, their share of the metric included."""
        return 1 / (sum(map(statistics.mean, self.seconds.values())) + self.metric_per_image)

    def to_dict(self) -> dict:
        """Return all figures as JSON takes them, the times of batches summed up."""
        return {
            **asdict(self),
            'images_per_second': self.images_per_second,
            'seconds': {name: _summary(values) for name, values in self.seconds.items()},
            'post_processing': {name: _summary(values) for name, values in self.post_processing.items()},
        }


def _summary(values: list[float]) -> dict[str, float]:
    return dict(mean=statistics.mean(values), median=statistics.median(values), p90=percentile(values, 90))


def measure_evaluation(
    cfg: Config, checkpoint: str | None = None, images: int | None = None, against_mmdet: bool = False
) -> EvaluationTimes:
    """Run the config's test loop, and time its parts.

    On a GPU the clock waits for it at the borders of the parts alone.

    Args:
        cfg: As `load_config` returns it.
        checkpoint: A file, or an address; without one the weights are random.
        images: How many images of the test set to take, from its beginning. Defaults to all.
        against_mmdet: Whether to time COCO's metric against mmdet's, too.

    Raises:
        UsageError: If the config has no test set, or it, the checkpoint or the images are not there.
    """
    cfg = copy.deepcopy(cfg)
    if not cfg.get('test_dataloader') or not cfg.get('test_evaluator'):
        raise UsageError('the config has no test_dataloader and test_evaluator to test with.')
    check_data(cfg, 'test')
    if images is not None:
        _take_images(cfg, images)
    if checkpoint is not None:
        check_checkpoint(checkpoint, '--checkpoint')
    if against_mmdet:
        _check_for_coco_metric(cfg)
    cfg.load_from = checkpoint
    cfg.log_level = 'WARNING'
    device = default_device()
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as cfg.work_dir, contextlib.redirect_stdout(io.StringIO()):
        # mmengine keeps visualizers by name, and with them the folder of the run before.
        cfg.setdefault('visualizer', ConfigDict(type='Visualizer')).update(name=cfg.work_dir, vis_backends=None)
        runner = build_runner(cfg, EvaluationRunner)
        watch = _Stopwatch(device, against_mmdet)
        runner.register_hook(watch, priority='LOWEST')
        metrics = runner.test()
        comparison = [compare_with_mmdet(metric, results) for metric, results in watch.kept]
    # With only a few batches, the first ones are better than none.
    timed = watch.batches[WARM_UP:] or watch.batches
    return EvaluationTimes(
        machine=describe_machine(device, 'faster-coco-eval', 'pycocotools'),
        images=sum(batch.images for batch in timed),
        batch_size=timed[0].images,
        seconds={name: [batch.per_image(name) for batch in timed] for name in PARTS},
        post_processing={name: [batch.per_image(name) for batch in timed] for name in watch.heads},
        metric_seconds=watch.metric_seconds,
        metric_images=sum(batch.images for batch in watch.batches),
        peak_memory=_peak_memory(device),
        metrics={name: float(value) for name, value in metrics.items()},
        note='' if checkpoint else RANDOM_WEIGHTS,
        against_mmdet=comparison[0] if comparison else {},
    )


def _take_images(cfg: Config, images: int) -> None:
    if images < 1:
        raise UsageError(f'--images must be positive; got {images}.')
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    if 'datasets' in dataset:
        raise UsageError('--images: the test set is put together of several; test all of it.')
    dataset.indices = images


def _check_for_coco_metric(cfg: Config) -> None:
    use_faster_coco_eval(cfg)
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    if all(each.get('type') != FASTER_COCO_METRIC for each in evaluators):
        raise UsageError("--against-mmdet: the config's test_evaluator is no CocoMetric, which could be timed so.")


def _peak_memory(device: torch.device) -> int:
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


@dataclass
class _Batch:
    images: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def per_image(self, part: str) -> float:
        return self.seconds[part] / self.images


class _Stopwatch(Hook):
    """Times each batch's parts; as the last hook, so that the others' work between batches is none of the data's."""

    def __init__(self, device: torch.device, keep_results: bool) -> None:
        self.batches: list[_Batch] = []
        self.heads: list[str] = []
        self.metric_seconds = 0.0
        # COCO's metrics and what they were given, where another is to be given the same.
        self.kept: list[tuple[FasterCocoMetric, list]] = []
        self._device = device
        self._keep_results = keep_results
        self._batch = _Batch()
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
        self._batch = _Batch(len(data_batch['inputs']))
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
                self.kept = [
                    (metric, copy.deepcopy(metric.results)) for metric in evaluator.metrics if _is_coco(metric)
                ]
            start = self._now()
            values = evaluate(size)
            self.metric_seconds = self._now() - start
            return values

        return timed

    def _fit_to_images(self, runner: Runner) -> None:
        """Have COCO's metrics count the images that are tested, when those are not all."""
        dataset = runner.test_dataloader.dataset
        for metric in runner.test_evaluator.metrics:
            if _is_coco(metric) and hasattr(dataset, 'get_data_info'):
                metric.img_ids = [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]


def _is_coco(metric: BaseMetric) -> bool:
    return type(metric) is FasterCocoMetric


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


def evaluation_table(times: EvaluationTimes) -> str:
    """Return the times of testing as a table.

    Args:
        times: As of `measure_evaluation`.
    """
    return '\n'.join(_lines(times))


def _lines(times: EvaluationTimes) -> Iterator[str]:
    total = 1 / times.images_per_second
    rows = []
    for name in PARTS:
        rows.append(_row(name, times.seconds[name], total))
        if name == 'post-processing':
            rows += [_row(f'  {head}', values, total) for head, values in times.post_processing.items()]
    rows.append(['metric', '', '', *_mean(times.metric_per_image, total)])
    rows.append(['all', '', '', *_mean(total, total)])
    yield format_table(['ms per image', 'median', 'p90', 'mean', 'share'], rows)
    machine = {name: value for name, value in times.machine.items() if name != 'versions'}
    yield ''
    yield f'{times.images_per_second:.2f} images/s, {times.images} images in batches of {times.batch_size}'
    yield f'metric: {times.metric_seconds:.2f} s for {times.metric_images} images'
    if times.against_mmdet:
        ours, theirs = (statistics.median(times.against_mmdet[name]) for name in ('ours', 'mmdet'))
        yield (
            f"mmdet's CocoMetric: {theirs:.2f} s, ours {ours:.2f} s on the same predictions, "
            f'{times.against_mmdet["ratio"]:.2f} times as fast; '
            f'values differ by {times.against_mmdet["largest_difference"]:.1g} at most'
        )
    yield f'peak memory: {times.peak_memory / 2**20:.0f} MiB'
    yield ', '.join(f'{name} {value}' for name, value in machine.items())
    yield ', '.join(f'{name} {version}' for name, version in times.machine['versions'].items())
    if times.note:
        yield times.note


def _row(name: str, values: list[float], total: float) -> list[str]:
    summary = _summary(values)
    return [
        name,
        f'{1e3 * summary["median"]:.2f}',
        f'{1e3 * summary["p90"]:.2f}',
        *_mean(summary['mean'], total),
    ]


def _mean(seconds: float, total: float) -> list[str]:
    return [f'{1e3 * seconds:.2f}', f'{seconds / total:.1%}']
