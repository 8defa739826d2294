"""The quick start: makes the demo data, trains a detector and a segmenter on it, and scores both."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from convnext_dense.apis.launching.processes import Command, launch
from convnext_dense.config.find import find_config
from convnext_dense.datasets.demo import make_demo_data
from convnext_dense.errors import UsageError

DATA_ROOT = Path('data') / 'demo'
# How many images a shortened demo is scored on.
FEW_IMAGES = 4
# What mmengine logs of a step: the epoch, if it counts epochs, the step, and how many there are.
STEP = re.compile(r'\((?:train|test)\)\s+(?:\[(\d+)\])?\[\s*(\d+)/(\d+)\]')


@dataclass(frozen=True)
class DemoTask:
    """A demo config and its scores.

    Args:
        name: The model's name.
        config: The config's name.
        metrics: By a score's name: its name in mmengine's metrics, and the factor that makes it 0 to 1.
    """

    name: str
    config: str
    metrics: dict[str, tuple[str, float]]


DEMO_TASKS = (
    DemoTask(
        'Mask R-CNN',
        'mask-rcnn_convnext-demo_fpn_demo-coco',
        {'box_mAP': ('coco/bbox_mAP', 1), 'mask_mAP': ('coco/segm_mAP', 1)},
    ),
    DemoTask('UperNet', 'upernet_convnext-demo_demo-ade20k', {'mIoU': ('mIoU', 0.01)}),
)


@dataclass(frozen=True)
class Step:
    """A step of the demo, as its log tells it.

    Args:
        stage: What runs, such as 'train Mask R-CNN'.
        log: The file that has all of the output.
        fraction: How much of the stage is done, from 0 to 1.
        line: The log's line; empty when the stage begins.
    """

    stage: str
    log: Path
    fraction: float
    line: str = ''


def run_demo(
    work_dir: str | Path = 'work_dirs/demo',
    steps: int | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> dict:
    """Make the demo data in ``data/demo``, and train and evaluate both demo models.

    Logs, checkpoints, drawn predictions and ``summary.json`` go below `work_dir`.

    Args:
        work_dir: A folder.
        steps: Train for this many steps only, and test on a few images, to try the installation. Defaults to the
            configs' schedules and all images.
        on_step: Called as the demo proceeds.

    Returns:
        The summary: ``box_mAP``, ``mask_mAP`` and ``mIoU`` from 0 to 1, ``seconds`` of training by the model's name,
        ``train_seconds`` of both, which train at the same time, and ``device``.

    Raises:
        UsageError: If `steps` is below 1, or ``data/demo`` holds something else.
        RunError: If a command failed. The message has the end of its log.

    Example:
        >>> run_demo()['mIoU'] > 0.7  # doctest: +SKIP
        True
    """
    if steps is not None and steps < 1:
        raise UsageError(f'steps: it must be at least 1; got {steps}.')
    work_dir = Path(work_dir)
    try:
        make_demo_data(DATA_ROOT)
    except OSError as error:
        raise UsageError(f'the demo data: {error}') from error
    tasks = [(task, work_dir / task.config) for task in DEMO_TASKS]
    # Both at the same time: the models are so small that one alone does not keep two cores, or a GPU, busy.
    seconds = launch(*(_train(task, folder, steps, on_step) for task, folder in tasks))
    launch(*(_test(task, folder, _few('test') if steps else [], on_step) for task, folder in tasks))
    summary: dict = {}
    for task, folder in tasks:
        summary |= _read_scores(task, folder)
    summary['seconds'] = {task.name: round(taken, 1) for task, taken in zip(DEMO_TASKS, seconds, strict=True)}
    summary |= dict(train_seconds=round(max(seconds), 1), device=_device())
    (work_dir / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    return summary


def _train(task: DemoTask, folder: Path, steps: int | None, on_step: Callable[[Step], None]) -> Command:
    cfg = Config.fromfile(find_config(task.config))
    counts_epochs = 'max_epochs' in cfg.train_cfg
    options = []
    if steps and counts_epochs:
        images = steps * cfg.train_dataloader.batch_size
        options = ['train_cfg.max_epochs=1', f'train_dataloader.dataset.indices={images}', *_few('val')]
    elif steps:
        options = [f'train_cfg.max_iters={steps}', f'train_cfg.val_interval={steps}', *_few('val')]
    arguments = ['train', task.config, '--work-dir', str(folder), '--cfg-options', *options]
    epochs = cfg.train_cfg.max_epochs if counts_epochs and not steps else 1
    return _command(f'train {task.name}', arguments, folder / 'train.log', epochs, on_step)


def _test(task: DemoTask, folder: Path, options: list[str], on_step: Callable[[Step], None]) -> Command:
    checkpoint = (folder / 'last_checkpoint').read_text().strip()
    outputs = ['--work-dir', str(folder / 'test'), '--show-dir', str(folder / 'predictions')]
    arguments = ['test', task.config, checkpoint, *outputs, '--cfg-options', *options]
    return _command(f'test {task.name}', arguments, folder / 'test.log', 1, on_step)


def _read_scores(task: DemoTask, folder: Path) -> dict[str, float]:
    # mmengine writes the metrics to <time>/<time>.json.
    metrics_file = max((folder / 'test').glob('*/*.json'), key=lambda file: file.stat().st_mtime)
    metrics = json.loads(metrics_file.read_text())
    return {name: round(metrics[key] * factor, 4) for name, (key, factor) in task.metrics.items()}


def _few(split: str) -> list[str]:
    return [f'{split}_dataloader.dataset.indices={FEW_IMAGES}']


def _command(stage: str, arguments: list[str], log: Path, epochs: int, on_step: Callable[[Step], None]) -> Command:
    def read(line: str) -> None:
        if match := STEP.search(line):
            epoch, step, steps = (int(number or 1) for number in match.groups())
            fraction = ((epoch - 1) + step / steps) / epochs
            on_step(Step(stage, log, min(fraction, 1.0), line.split(' INFO - ')[-1].strip()))

    log.unlink(missing_ok=True)
    on_step(Step(stage, log, 0.0))
    return Command(arguments, log, on_line=read)


def _device() -> str:
    # Imported here so that the first line is printed at once.
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'
