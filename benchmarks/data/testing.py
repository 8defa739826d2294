"""Time a detector's test without its network, by this package and by mmdet: data, post-processing, encoding, metric.

Both ways get the same generated images and the same outputs of a network, and take turns in one process of one thread,
image by image. Their predictions and their metrics must be equal.
"""

import argparse
import copy
import json
import statistics
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, METRICS, MODELS, DefaultScope

from benchmarks.data.generated import make_parser, run_cases
from benchmarks.data.network_outputs import PlannedOutputs
from benchmarks.measure import added_memory, ratio_in_turn
from benchmarks.training.synthetic_data import use_synthetic_data
from convnext_dense.cli.arguments import at_least
from convnext_dense.config import enable_speed_in_testing, load_config
from convnext_dense.config.device import fit_to_device
from convnext_dense.errors import RunError
from convnext_dense.evaluation.faster_coco_metric import use_faster_coco_eval
from convnext_dense.evaluation.post_processing.heads import speed_up_heads
from convnext_dense.reports.table import format_table

CONFIGS = {
    'mask-rcnn': 'configs/mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py',
    'faster-rcnn': 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'retinanet': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
}
OURS, THEIRS = 'convnext-dense', 'OpenMMLab'
PARTS = ('data', 'preprocessing', 'post-processing', 'encoding', 'metric')
# Images that are not timed.
WARM_UP = 6


class Way:
    """A way to test a detector.

    Args:
        cfg: The config.
        is_ours: Whether it is this package's way.
        objects: The objects of each image, as `PlannedOutputs` takes them.

    Attributes:
        seconds: The CPU seconds of each part, image by image.
    """

    def __init__(self, cfg: Config, is_ours: bool, objects: dict) -> None:
        cfg = copy.deepcopy(cfg)
        if is_ours:
            enable_speed_in_testing(cfg, ['data'])
            use_faster_coco_eval(cfg)
        self.dataset = DATASETS.build(cfg.test_dataloader.dataset)
        self.model: Any = MODELS.build(cfg.model).eval()
        self.metric: Any = METRICS.build(cfg.test_evaluator)
        self.metric.dataset_meta = self.dataset.metainfo
        if is_ours:
            speed_up_heads(self.model)
        self.outputs = PlannedOutputs(self.model, objects)
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def test(self, index: int) -> None:
        """Test an image, and time the parts."""
        batch = self._timed('data', lambda: pseudo_collate([self.dataset[index]]))
        with torch.no_grad():
            batch = self._timed('preprocessing', lambda: self.model.data_preprocessor(batch, False))
            (self.outputs.sample,) = batch['data_samples']
            with self.outputs.kept():
                # The outputs are made before the clock runs, and given again.
                self.model(**copy.deepcopy(batch), mode='predict')
                samples = self._timed('post-processing', lambda: self.model(**batch, mode='predict'))
        self._timed('encoding', lambda: self.metric.process({}, [sample.to_dict() for sample in samples]))

    def evaluate(self) -> dict[str, float]:
        """Compute the metrics, and time that. The predictions are kept."""
        results = self.metric.results
        self.metric.results = list(results)
        metrics = self._timed('metric', lambda: self.metric.evaluate(len(results)))
        self.metric.results = results
        return metrics

    def memory(self, index: int) -> int:
        """Return the bytes that an image takes at most from its outputs to its run lengths."""
        batch = self.model.data_preprocessor(pseudo_collate([self.dataset[index]]), False)
        (self.outputs.sample,) = batch['data_samples']

        def test() -> None:
            with torch.no_grad():
                samples = self.model(**copy.deepcopy(batch), mode='predict')
            self.metric.process({}, [sample.to_dict() for sample in samples])
            self.metric.results.pop()

        with self.outputs.kept():
            test()
            tensors = added_memory(test, torch.device('cpu'))
            tracemalloc.start()
            test()
            arrays = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return tensors + arrays

    def _timed(self, part: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401
        start = time.process_time()
        value = call()
        self.seconds[part].append(time.process_time() - start)
        return value


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the figures of each case.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = make_parser(__doc__, CONFIGS, 200)
    parser.add_argument('--rounds', type=at_least(1), default=5, help='how often each way computes its metrics')
    return run_cases(parser, arguments, _measure, _table)


def _measure(name: str, folder: Path, args: argparse.Namespace) -> dict:
    cfg = load_config(CONFIGS[name], str(folder / 'run'))
    objects = _write(cfg, folder / 'data', args.images)
    fit_to_device(cfg)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        ways = {way: Way(cfg, way == OURS, objects) for way in (OURS, THEIRS)}
        for i in range(args.images):
            for way in list(ways)[:: 1 if i % 2 else -1]:
                ways[way].test(i)
        _compare(name, *(way.metric.results for way in ways.values()))
        for _ in range(args.rounds):
            ours, theirs = (way.evaluate() for way in ways.values())
            if ours != theirs:
                raise RunError(f'{name}: the metrics of the two ways differ: {ours} and {theirs}.')
        memory = {way: tester.memory(0) for way, tester in ways.items()}
    warm_up = min(WARM_UP, args.images - 1)
    seconds = {
        way: {
            part: [value / args.images for value in tester.seconds[part]]
            if part == 'metric'
            else tester.seconds[part][warm_up:]
            for part in PARTS
        }
        for way, tester in ways.items()
    }
    totals = {}
    for way, parts in seconds.items():
        metric = statistics.median(parts['metric'])
        totals[way] = [sum(values) + metric for values in zip(*(parts[part] for part in PARTS[:-1]), strict=True)]
    return dict(
        case=name,
        config=CONFIGS[name],
        images=args.images,
        detections=sum(len(found['scores']) for _, found in ways[OURS].metric.results),
        ms_per_image={
            way: {part: 1e3 * statistics.median(values) for part, values in parts.items()}
            for way, parts in seconds.items()
        },
        total_ms_per_image={way: 1e3 * statistics.median(values) for way, values in totals.items()},
        ratio=ratio_in_turn(totals[OURS], totals[THEIRS]),
        ratios={part: ratio_in_turn(seconds[OURS][part], seconds[THEIRS][part]) for part in PARTS},
        memory=memory,
        metrics=ours,
    )


def _write(cfg: Config, folder: Path, images: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Generate a test set, and return the boxes and labels of each image's objects."""
    use_synthetic_data(cfg, folder, images)
    names = 'data_root', 'ann_file', 'data_prefix'
    cfg.test_dataloader.dataset.update({name: cfg.train_dataloader.dataset[name] for name in names})
    file = folder / 'annotations.json'
    cfg.test_evaluator.ann_file = str(file)
    cfg.model.backbone.init_cfg = None
    objects: dict[int, list] = defaultdict(list)
    for annotation in json.loads(file.read_text())['annotations']:
        objects[annotation['image_id']].append((annotation['bbox'], annotation['category_id'] - 1))
    return {image: tuple(map(np.array, zip(*parts, strict=True))) for image, parts in objects.items()}


def _compare(name: str, ours: list[tuple[dict, dict]], theirs: list[tuple[dict, dict]]) -> None:
    """Raise RunError if two ways do not predict the same, bit for bit."""
    for (_, own), (sample, other) in zip(ours, theirs, strict=True):
        for key in other.keys() | own.keys():
            if key not in own or key not in other or not np.array_equal(own[key], other[key]):
                raise RunError(f'{name}: the {key} that the two ways predict for image {sample["img_id"]} differ.')


def _table(case: dict) -> str:
    rows = [
        [part, *(f'{case["ms_per_image"][way][part]:.2f}' for way in (OURS, THEIRS)), f'{case["ratios"][part]:.2f}']
        for part in PARTS
    ]
    totals = case['total_ms_per_image']
    rows.append(['all', *(f'{totals[way]:.2f}' for way in (OURS, THEIRS)), f'{case["ratio"]:.2f}'])
    memory = ' and '.join(f'{case["memory"][way] / 2**20:.0f}' for way in (OURS, THEIRS))
    return (
        f'{case["case"]}, {case["images"]} images, {case["detections"]} detections, equal\n'
        f'{format_table(rows, ["ms of CPU an image", OURS, THEIRS, "times as fast"])}\n'
        f'{memory} MiB for an image from the outputs of the network to run lengths'
    )


if __name__ == '__main__':
    main()
