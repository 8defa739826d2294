"""Time a recipe's training data with the switch `data` and without: the pipeline, and what the main process does.

Both ways get the same generated files and the same seeds, and take turns in one process of one thread. Before they are
timed, their samples are compared. The main process's time is its own CPU time, with workers that prepare batches: to
receive and preprocess a batch, and to make the targets of Mask R-CNN's mask head.
"""

import argparse
import itertools
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch.utils.data import Dataset

from benchmarks.data.generated import CONFIGS, OURS, THEIRS, make_parser, paired_configs, run_cases
from benchmarks.data.samples import difference, sent_bytes
from benchmarks.measure import ratio_in_turn, time_in_turn
from convnext_dense.cli.arguments import at_least
from convnext_dense.config import keep_images
from convnext_dense.datasets.checked_loading import check_dataset_while_loading
from convnext_dense.datasets.images.kept_images import PLACES
from convnext_dense.errors import RunError
from convnext_dense.reports.table import format_table

# How far a pixel may be off, in gray levels. Everything else must be equal.
TOLERANCE = 1.0
# Images that a way prepares before the other's turn.
BLOCK = 20
WORKERS = 2
BATCHES = 40
# Mask R-CNN's samples an image that are objects, at most, and the side of their masks.
POSITIVES, MASK_SIZE = 128, 28


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the figures of each case.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = make_parser(__doc__, CONFIGS, 500)
    parser.add_argument('--rounds', type=at_least(1), default=50, help=f'how often each way has {BLOCK} images')
    parser.add_argument('--batches', type=at_least(1), default=BATCHES, help='how many the main process takes')
    parser.add_argument('--cache', choices=PLACES, help='where the faster way keeps images decoded')
    return run_cases(parser, arguments, _measure, _table)


def _measure(name: str, folder: Path, args: argparse.Namespace) -> dict:
    configs = paired_configs(CONFIGS[name], folder, args.images)
    if args.cache:
        keep_images(configs[OURS], args.cache)
    cfg = configs[THEIRS]
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        # As in `convnext-dense train`.
        check_dataset_while_loading(configs[OURS].train_dataloader.dataset, configs[OURS], 'train')
        datasets = {way: DATASETS.build(config.train_dataloader.dataset) for way, config in configs.items()}
        largest = max(difference(*(_sample(dataset, i) for dataset in datasets.values())) for i in range(args.images))
        if largest > TOLERANCE:
            raise RunError(f'{name}: the samples of the two ways differ by {largest}.')
        sizes = {way: [sent_bytes(_sample(dataset, i)) for i in range(BLOCK)] for way, dataset in datasets.items()}
        seconds = time_in_turn(_calls(datasets), torch.device('cpu'), args.rounds, warm_up=1)
        main_seconds, target_seconds = _main_process(configs, args.batches)
    return dict(
        case=name,
        config=CONFIGS[name],
        cache=args.cache,
        images=args.images,
        largest_difference=largest,
        images_per_second={way: BLOCK / statistics.median(values) for way, values in seconds.items()},
        ratio=ratio_in_turn(seconds[OURS], seconds[THEIRS]),
        sent_bytes={
            way: {part: statistics.mean(size[part] for size in found) for part in found[0]}
            for way, found in sizes.items()
        },
        main_process_ms={way: 1e3 * statistics.median(values) for way, values in main_seconds.items()},
        main_process_ratio=ratio_in_turn(main_seconds[OURS], main_seconds[THEIRS]),
        mask_targets_ms={way: 1e3 * statistics.median(values) for way, values in target_seconds.items() if values},
        batch_size=cfg.train_dataloader.batch_size,
    )


def _sample(dataset: Dataset, index: int) -> dict:
    """Return a sample that depends on nothing but its index."""
    random.seed(index)
    np.random.seed(index)
    torch.manual_seed(index)
    return dataset[index]


def _calls(datasets: dict[str, Dataset]) -> dict[str, Callable[[], object]]:
    """Return each way's call, which prepares its next block of images."""

    def call_of(dataset: Dataset) -> Callable[[], object]:
        indices = itertools.cycle(range(len(dataset)))
        return lambda: [_sample(dataset, next(indices)) for _ in range(BLOCK)]

    return {way: call_of(dataset) for way, dataset in datasets.items()}


def _main_process(configs: dict[str, Config], batches: int) -> tuple[dict, dict]:
    """Return the CPU seconds of each way in the main process, batch by batch in turn: for batches, for mask targets."""
    loaders, preprocessors = {}, {}
    for way, config in configs.items():
        loader = config.train_dataloader
        loader.update(num_workers=WORKERS, persistent_workers=WORKERS > 0)
        loaders[way] = Runner.build_dataloader(loader, seed=0)
        preprocessors[way] = MODELS.build(config.model.data_preprocessor)
    batch_seconds: dict[str, list[float]] = {way: [] for way in configs}
    target_seconds: dict[str, list[float]] = {way: [] for way in configs}
    iterators = {way: iter(loader) for way, loader in loaders.items()}
    for way, iterator in iterators.items():
        preprocessors[way](next(iterator), True)
    for _ in range(batches):
        for way, iterator in iterators.items():
            start = time.process_time()
            batch = preprocessors[way](next(iterator), True)
            batch_seconds[way].append(time.process_time() - start)
            labels = [sample.gt_instances for sample in batch['data_samples'] if 'gt_instances' in sample]
            if any('masks' in instances for instances in labels):
                start = time.process_time()
                _make_mask_targets(labels)
                target_seconds[way].append(time.process_time() - start)
    return batch_seconds, target_seconds


def _make_mask_targets(labels: list[InstanceData]) -> None:
    """Make the targets of the mask head for proposals that are the objects' own boxes."""
    # Imported once this package provides mmcv's operators.
    from mmdet.structures.mask import mask_target

    for instances in labels:
        chosen = torch.arange(POSITIVES if len(instances) else 0) % max(len(instances), 1)
        mask_target([instances.bboxes[chosen]], [chosen], [instances.masks], ConfigDict(mask_size=MASK_SIZE))


def _table(case: dict) -> str:
    rows = [
        [
            way,
            f'{case["images_per_second"][way]:.1f}',
            f'{case["sent_bytes"][way]["pipe"] / 1e3:.0f}',
            f'{case["sent_bytes"][way]["shared"] / 1e3:.0f}',
            f'{case["main_process_ms"][way]:.2f}',
            *(f'{milliseconds:.2f}' for name, milliseconds in case['mask_targets_ms'].items() if name == way),
        ]
        for way in (OURS, THEIRS)
    ]
    headers = ['way', 'images/s a core', 'kB a sample by pipe', 'kB shared', 'ms a batch in the main process']
    headers += ['ms for mask targets'] if case['mask_targets_ms'] else []
    return (
        f'{case["case"]}, {case["images"]} images, largest difference {case["largest_difference"]:g}\n'
        f'{format_table(rows, headers)}\n'
        f'{case["ratio"]:.2f} times the images/s, 1/{case["main_process_ratio"]:.2f} of the time in the main process'
    )


if __name__ == '__main__':
    main()
