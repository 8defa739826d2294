"""Where the time of testing goes: data, model, post-processing, encoding, metric."""

import contextlib
import copy
import io
import resource
import statistics
import tempfile
from dataclasses import asdict, dataclass, field

import torch
from mmengine.config import Config, ConfigDict

from benchmarks.measure import default_device, describe_machine, percentile
from benchmarks.metric_comparison import check_for_coco_metric, compare_with_mmdet
from benchmarks.stopwatch import PARTS, Stopwatch
from convnext_dense.apis.training import build_runner
from convnext_dense.config.load import check_checkpoint, check_data
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.strict_load_runner import StrictLoadRunner
from convnext_dense.hooks.training_cost_hook import RSS_UNIT

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
            'seconds': {name: summary(values) for name, values in self.seconds.items()},
            'post_processing': {name: summary(values) for name, values in self.post_processing.items()},
        }


def summary(values: list[float]) -> dict[str, float]:
    """Return what is told of the times of batches.

    Example:
        >>> summary([1.0, 2.0, 6.0])['mean']
        3.0
    """
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
        check_for_coco_metric(cfg)
    cfg.load_from = checkpoint
    cfg.log_level = 'WARNING'
    device = default_device()
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as cfg.work_dir, contextlib.redirect_stdout(io.StringIO()):
        # mmengine keeps visualizers by name, and with them the folder of the run before.
        cfg.setdefault('visualizer', ConfigDict(type='Visualizer')).update(name=cfg.work_dir, vis_backends=None)
        runner = build_runner(cfg, StrictLoadRunner)
        watch = Stopwatch(device, against_mmdet)
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


def _peak_memory(device: torch.device) -> int:
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
