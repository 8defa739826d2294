"""Time the test of a segmenter without its network: data, logits at the image's size, label maps and IoU.

Both ways get the same generated files and the same logits, a quarter of the image's size and channels-last, as this
package's backbones make them. They take turns in one process of one thread. Before they are timed, their logits, label
maps and scores are compared. mmseg's way has mmseg's own methods, ours has the switch `data`.
"""

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS, MODELS, DefaultScope
from torch import Tensor

from benchmarks.data.generated import make_parser, run_cases
from benchmarks.measure import added_memory, ratio_in_turn
from benchmarks.training.synthetic_data import ADE_SIZES, use_synthetic_data
from convnext_dense.cli.arguments import at_least
from convnext_dense.compat import segmenting
from convnext_dense.config import enable_speed_in_testing, load_config
from convnext_dense.config.device import fit_to_device
from convnext_dense.errors import RunError
from convnext_dense.reports.table import format_table

ADE = 'configs/upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py'
CITYSCAPES = 'mmseg::upernet/upernet_r50_4xb2-80k_cityscapes-512x1024.py'
WINDOWS = dict(mode='slide', crop_size=(512, 512), stride=(341, 341))
# The config, `test_cfg`, and the sizes of the images.
CASES = {
    'ade20k, whole': (ADE, dict(mode='whole'), ADE_SIZES),
    'ade20k, windows': (ADE, WINDOWS, ADE_SIZES),
    'cityscapes, windows': (CITYSCAPES, WINDOWS, ((1024, 2048),)),
}
OURS, THEIRS = 'ours', 'OpenMMLab'
METHODS = {
    OURS: (segmenting.slide_inference, segmenting.postprocess_result),
    THEIRS: (segmenting.mmseg_slide_inference, segmenting.mmseg_postprocess_result),
}
# What a test does besides the network. The head resizes its logits to the image or the window.
RESIZE = "head's resize"
PARTS = ('data', RESIZE, 'post-processing', 'metric')
STRIDE = 4


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the figures of each case.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = make_parser(__doc__, CASES, 8)
    parser.add_argument('--rounds', type=at_least(1), default=3, help='how often each way has all images')
    return run_cases(parser, arguments, _measure, _table)


class Tested:
    """One way of testing a segmenter without its network.

    Args:
        cfg: The config, with data that exists.
        methods: `slide_inference` and `postprocess_result`.
    """

    def __init__(self, cfg: Config, methods: tuple) -> None:
        self.dataset = DATASETS.build(cfg.test_dataloader.dataset)
        self.evaluator = Evaluator(cfg.test_evaluator)
        self.evaluator.dataset_meta = self.dataset.metainfo
        self.model: Any = MODELS.build(cfg.model).eval()
        self.model.slide_inference, self.model.postprocess_result = (MethodType(m, self.model) for m in methods)
        self.model.extract_feat = lambda inputs: inputs
        head = self.model.decode_head
        head.forward = functools.partial(_logits, head.out_channels)
        self._resize_seconds = 0.0
        self._resize = head.predict_by_feat
        head.predict_by_feat = self._timed_resize

    def test(self, index: int) -> tuple[dict[str, float], list]:
        """Return the seconds of each part for an image, and its data samples."""
        self._resize_seconds = 0.0
        times = [time.perf_counter()]
        batch = pseudo_collate([self.dataset[index]])
        times.append(time.perf_counter())
        with torch.no_grad():
            samples = self.model.test_step(batch)
        times.append(time.perf_counter())
        self.evaluator.process(samples, batch)
        times.append(time.perf_counter())
        data, predicted, metric = (end - start for start, end in itertools.pairwise(times))
        return dict(
            zip(PARTS, (data, self._resize_seconds, predicted - self._resize_seconds, metric), strict=True)
        ), samples

    def _timed_resize(self, *args: object) -> Tensor:
        start = time.perf_counter()
        logits = self._resize(*args)
        self._resize_seconds += time.perf_counter() - start
        return logits


def _logits(classes: int, images: Tensor) -> Tensor:
    """Return what a head would find in images."""
    return _random_logits(len(images), classes, *(-(-side // STRIDE) for side in images.shape[2:]))


@functools.cache
def _random_logits(*shape: int) -> Tensor:
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return logits.contiguous(memory_format=torch.channels_last)


def _measure(name: str, folder: Path, args: argparse.Namespace) -> dict:
    config, test_cfg, sizes = CASES[name]
    images, rounds = args.images, args.rounds
    cfg = load_config(config, str(folder / 'run'))
    cfg.model.test_cfg = ConfigDict(test_cfg)
    use_synthetic_data(cfg, folder / 'data', images, split='test', sizes=sizes)
    fit_to_device(cfg)
    configs = {OURS: Config(cfg.to_dict()), THEIRS: cfg}
    enable_speed_in_testing(configs[OURS], ['data'])
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        ways = {way: Tested(config, METHODS[way]) for way, config in configs.items()}
        scores = _compare(name, ways, images)
        memory = {
            way: added_memory(functools.partial(tested.test, 0), torch.device('cpu')) for way, tested in ways.items()
        }
        times: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for i in range(images * rounds):
            for way in sorted(ways, reverse=bool(i % 2)):
                times[way].append(ways[way].test(i % images)[0])
    _random_logits.cache_clear()
    totals = {way: [sum(found.values()) for found in seconds] for way, seconds in times.items()}
    without_resize = {way: [sum(found.values()) - found[RESIZE] for found in seconds] for way, seconds in times.items()}
    return dict(
        case=name,
        config=config,
        test_cfg=test_cfg,
        sizes=sizes,
        images=images,
        rounds=rounds,
        scores=scores,
        milliseconds={
            way: {part: 1e3 * statistics.median(found[part] for found in seconds) for part in PARTS}
            | {'all': 1e3 * statistics.median(totals[way])}
            for way, seconds in times.items()
        },
        ratio=ratio_in_turn(totals[OURS], totals[THEIRS]),
        ratio_without_resize=ratio_in_turn(without_resize[OURS], without_resize[THEIRS]),
        peak_memory=memory,
    )


def _compare(name: str, ways: dict[str, Tested], images: int) -> dict[str, float]:
    """Return the scores of both ways.

    Raises:
        RunError: If their logits, label maps or scores differ.
    """
    for i in range(images):
        (ours,), (theirs,) = (tested.test(i)[1] for tested in ways.values())
        for part in ('seg_logits', 'pred_sem_seg'):
            if not torch.equal(ours.get(part).data, theirs.get(part).data):
                raise RunError(f'{name}: {part} of image {i} differs between the two ways.')
    ours, theirs = (tested.evaluator.evaluate(images) for tested in ways.values())
    if ours != theirs:
        raise RunError(f'{name}: the scores of the two ways differ: {ours} and {theirs}.')
    return {metric: float(score) for metric, score in ours.items()}


def _table(case: dict) -> str:
    rows = [
        [way, *(f'{value:.1f}' for value in values.values()), f'{case["peak_memory"][way] / 2**20:.0f}']
        for way, values in case['milliseconds'].items()
    ]
    return (
        f'{case["case"]}, {case["images"]} images, {case["scores"]}, equal logits and label maps\n'
        f'{format_table(rows, ["ms an image", *PARTS, "all", "MiB"])}\n'
        f"{case['ratio']:.2f} times as fast, {case['ratio_without_resize']:.2f} times without the head's resize"
    )


if __name__ == '__main__':
    main()
