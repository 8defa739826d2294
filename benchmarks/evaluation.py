"""Time the test of a detector or a segmenter, split into data, model, post-processing, encoding and metric."""

import argparse
import contextlib
import copy
import functools
import io
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.runner import Runner

from benchmarks.cases import run_benchmark
from benchmarks.measure import WARM_UP, default_device, summarize, synchronize
from benchmarks.training.synthetic_data import use_synthetic_data
from convnext_dense.apis.runner import build_runner
from convnext_dense.checks import RunPlan
from convnext_dense.checks.check import report
from convnext_dense.checks.files import find_in_files
from convnext_dense.cli.arguments import add_config, add_speed_argument, at_least, parse_cfg_options
from convnext_dense.config import enable_speed_in_testing, load_config
from convnext_dense.config.backbone.swap import without_weights
from convnext_dense.config.options import check_checkpoint
from convnext_dense.config.speed.switches import TEST_SWITCHES
from convnext_dense.config.tree import innermost_dataset
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.strict_load_runner import StrictLoadRunner
from convnext_dense.reports.table import format_table
from convnext_dense.training.memory.peak import RSS_UNIT

# In the order in which a batch passes them.
PARTS = ('data', 'model', 'post-processing', 'encoding')
# Methods that make predictions of maps: NMS, mask pasting, mmseg's resize to the image.
POST_PROCESSING = ('predict_by_feat', 'postprocess_result')
# mmdet's Mask2Former makes its predictions in the `predict` of this module.
FUSION_HEADS = ('panoptic_fusion_head',)
RANDOM_WEIGHTS = (
    'The weights are random: post-processing and the metric see few detections, or odd ones. Give a --checkpoint.'
)


class StopwatchHook(Hook):
    """Times the parts of each test batch. Register it last, so that other hooks' time does not count as data loading.

    A part's time is without the parts inside it. On a GPU, the clock waits for it at the borders of the parts only.

    Args:
        device: Where the model is.

    Attributes:
        batches: The seconds of each batch by part, and its number of ``images``. Post-processing is a part for each
            method, such as ``rpn_head.predict_by_feat``.
        heads: The methods of post-processing.
    """

    def __init__(self, device: torch.device) -> None:
        self.batches: list[Counter] = []
        self.heads: list[str] = []
        self._device = device
        self._batch: Counter = Counter()
        self._inner = [0.0]
        self._last = 0.0

    @property
    def metric_seconds(self) -> float:
        """What the metrics took after the last batch."""
        return self._batch['metric']

    def before_test_epoch(self, runner: Runner) -> None:
        """Put clocks around the parts."""
        for path, module in runner.model.named_modules():
            for name in POST_PROCESSING + ('predict',) * path.endswith(FUSION_HEADS):
                if hasattr(module, name):
                    self._clock(module, name, f'{path}.{name}'.lstrip('.'), self.heads)
        self._clock(runner.model, 'test_step', 'model')
        self._clock(runner.test_evaluator, 'process', 'encoding')
        self._clock(runner.test_evaluator, 'evaluate', 'metric')
        self._last = self._now()

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """End the wait for a batch."""
        self._batch = Counter(images=len(data_batch['inputs']), data=time.perf_counter() - self._last)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: list | None = None
    ) -> None:
        """Keep the batch, and begin to wait for the next one."""
        self.batches.append(self._batch)
        self._batch = Counter()
        self._last = time.perf_counter()

    def _now(self) -> float:
        synchronize(self._device)
        return time.perf_counter()

    def _clock(self, owner: object, name: str, part: str, seen: list[str] | None = None) -> None:
        method = getattr(owner, name)

        @functools.wraps(method)
        def timed(*args: object, **kwargs: object) -> object:
            if seen is not None and part not in seen:
                seen.append(part)
            self._inner.append(0.0)
            start = self._now()
            try:
                return method(*args, **kwargs)
            finally:
                elapsed = self._now() - start
                self._batch[part] += elapsed - self._inner.pop()
                self._inner[-1] += elapsed

        setattr(owner, name, timed)


def measure_evaluation(cfg: Config, checkpoint: str | None = None, images: int | None = None) -> dict:
    """Run the config's test loop, and time its parts.

    Args:
        cfg: A config of `load_config`.
        checkpoint: A file or an address. Without one the weights are random.
        images: Number of images, from the beginning of the test set. Defaults to all of them.

    Returns:
        A dict: ``parts`` and ``post_processing``, each with times of `summarize` in seconds per image;
        ``metric_seconds`` for all images; ``images_per_second``, the metric included; ``images`` timed, ``batch_size``,
        ``peak_memory`` in bytes, and the ``metrics``.

    Raises:
        UsageError: If the config has no test set, or if it, the checkpoint or the images are missing.
    """
    cfg = copy.deepcopy(cfg)
    if not cfg.get('test_dataloader') or not cfg.get('test_evaluator'):
        raise UsageError('config: it has no test_dataloader and test_evaluator to test with.')
    report(find_in_files(RunPlan(cfg, ('test',))))
    if images is not None:
        _take_images(cfg, images)
    if checkpoint is not None:
        check_checkpoint(checkpoint, 'checkpoint')
    cfg.load_from = checkpoint
    cfg.log_level = 'WARNING'
    device = default_device()
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as cfg.work_dir, contextlib.redirect_stdout(io.StringIO()):
        # mmengine keeps visualizers by name, and with them the folder of an earlier run.
        cfg.setdefault('visualizer', ConfigDict(type='Visualizer')).update(name=cfg.work_dir, vis_backends=None)
        runner = build_runner(cfg, StrictLoadRunner)
        _evaluate_tested_images(runner)
        watch = StopwatchHook(device)
        runner.register_hook(watch, priority='LOWEST')
        metrics = runner.test()
    # If there are only a few batches, the first ones are better than none.
    batches = watch.batches[WARM_UP:] or watch.batches
    for batch in batches:
        batch['post-processing'] = sum(batch[head] for head in watch.heads)

    def per_image(name: str) -> dict[str, float]:
        return summarize([batch[name] / batch['images'] for batch in batches])

    parts = {name: per_image(name) for name in PARTS}
    tested = sum(batch['images'] for batch in watch.batches)
    total = sum(times['mean'] for times in parts.values()) + watch.metric_seconds / tested
    return dict(
        images_per_second=1 / total,
        parts=parts,
        post_processing={head: per_image(head) for head in watch.heads},
        metric_seconds=watch.metric_seconds,
        metric_images=tested,
        images=sum(batch['images'] for batch in batches),
        batch_size=batches[0]['images'],
        peak_memory=_peak_memory(device),
        metrics={name: float(value) for name, value in metrics.items()},
        note='' if checkpoint else RANDOM_WEIGHTS,
    )


def use_generated_images(cfg: Config, folder: str, count: int) -> None:
    """Make the config test random weights on generated images, so that it needs neither data nor a download.

    Args:
        cfg: The config, which is changed.
        folder: An empty folder for the images.
        count: Number of images.
    """
    use_synthetic_data(cfg, folder, count, split='test')
    if cfg.test_evaluator.get('ann_file'):
        cfg.test_evaluator.ann_file = str(Path(folder, 'annotations.json'))
    cfg.model = without_weights(cfg.model)


def _take_images(cfg: Config, images: int) -> None:
    if images < 1:
        raise UsageError(f'images: must be positive; got {images}.')
    dataset = innermost_dataset(cfg.test_dataloader.dataset)
    if 'datasets' in dataset:
        raise UsageError('images: the test set is put together of several; test all of it.')
    dataset.indices = images


def _evaluate_tested_images(runner: Runner) -> None:
    """Make COCO's metrics count the images of the test set only, which may be the first ones of the annotations."""
    # Here, because mmdet can be imported once this package is.
    from mmdet.evaluation import CocoMetric

    dataset = runner.test_dataloader.dataset
    for metric in runner.test_evaluator.metrics:
        if isinstance(metric, CocoMetric) and hasattr(dataset, 'get_data_info'):
            metric.img_ids = [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]


def _peak_memory(device: torch.device) -> int:
    """Return what PyTorch allocated on a GPU at most, otherwise the process's peak of resident memory."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def table(figures: dict) -> str:
    """Return the figures of `measure_evaluation` as text."""
    total = 1 / figures['images_per_second']
    metric = figures['metric_seconds'] / figures['metric_images']

    def row(name: str, times: dict[str, float]) -> list[str]:
        return [name, *(f'{1e3 * times[key]:.2f}' for key in ('median', 'p90', 'mean')), f'{times["mean"] / total:.1%}']

    rows = []
    for name, times in figures['parts'].items():
        rows.append(row(name, times))
        if name == 'post-processing':
            rows += [row(f'  {head}', times) for head, times in figures['post_processing'].items()]
    rows += [[name, '', '', f'{1e3 * s:.2f}', f'{s / total:.1%}'] for name, s in (('metric', metric), ('all', total))]
    lines = [
        format_table(rows, ['ms per image', 'median', 'p90', 'mean', 'share']),
        f'{figures["images_per_second"]:.2f} images/s, {figures["images"]} images in batches of '
        f'{figures["batch_size"]}; the metric takes {figures["metric_seconds"]:.2f} s for {figures["metric_images"]}',
        f'peak memory: {figures["peak_memory"] / 2**20:.0f} MiB',
        figures['note'],
    ]
    return '\n'.join(filter(None, lines))


def run(args: argparse.Namespace) -> Iterator[dict]:
    """Yield the figures of the config that the command line names."""
    cfg = load_config(args.config, cfg_options=parse_cfg_options(args.cfg_options))
    if args.speed:
        enable_speed_in_testing(cfg, args.speed)
    with tempfile.TemporaryDirectory() as folder:
        if args.generated:
            use_generated_images(cfg, folder, args.generated)
        figures = measure_evaluation(cfg, args.checkpoint, args.images)
    yield dict(config=args.config, switches=args.speed, generated=bool(args.generated), **figures)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config(parser)
    parser.add_argument('--checkpoint', metavar='FILE', help='checkpoint file or address; by default random weights')
    parser.add_argument('--images', type=at_least(1), metavar='N', help='test the first N images; by default all')
    parser.add_argument('--generated', type=at_least(1), metavar='N', help='test on N generated images')
    add_speed_argument(parser, TEST_SWITCHES)
    run_benchmark(parser, arguments, run, table)


if __name__ == '__main__':
    main()
