"""The quick start: demo data, a detector and a segmenter trained on it, and their scores."""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from convnext_dense.datasets.demo import make_demo_data

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs' / 'demo'
DATA_ROOT = Path('data') / 'demo'


@dataclass(frozen=True)
class Task:
    """A demo config, and its scores: their names here, and in mmengine's metrics with what makes them 0 to 1."""

    name: str
    config: Path
    metrics: dict[str, tuple[str, float]]


TASKS = (
    Task(
        'Mask R-CNN',
        CONFIGS / 'mask-rcnn_convnext-demo_fpn_demo-coco.py',
        {'box_mAP': ('coco/bbox_mAP', 1), 'mask_mAP': ('coco/segm_mAP', 1)},
    ),
    Task('UperNet', CONFIGS / 'upernet_convnext-demo_demo-ade20k.py', {'mIoU': ('mIoU', 0.01)}),
)


def quickstart(work_dir: str | Path = 'work_dirs/quickstart') -> dict[str, float | str]:
    """Make the demo data in ``data/demo``, train and evaluate both demo models, and print a table.

    Logs, checkpoints, pictures of the predictions and ``summary.json`` go below `work_dir`.

    Args:
        work_dir: A folder.

    Returns:
        The summary: ``box_mAP``, ``mask_mAP`` and ``mIoU`` from 0 to 1, ``train_seconds`` and ``device``.

    Raises:
        subprocess.CalledProcessError: If a tool failed; its log has been named.
    """
    work_dir = Path(work_dir)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'
    print(f'Device: {device}. Making the demo data in {DATA_ROOT} ...', flush=True)
    make_demo_data(DATA_ROOT)
    summary: dict[str, float | str] = {}
    seconds = {task.name: _train(task, work_dir / task.config.stem) for task in TASKS}
    for task in TASKS:
        summary.update(_evaluate(task, work_dir / task.config.stem))
    summary['train_seconds'] = round(sum(seconds.values()), 1)
    summary['device'] = device
    (work_dir / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    _print_table(summary, seconds, work_dir)
    return summary


def _train(task: Task, folder: Path) -> float:
    """Train, starting anew, and return how long it took in seconds, the start of the program included."""
    start = time.monotonic()
    _run_tool('train.py', os.path.relpath(task.config), '--work-dir', str(folder), log=folder / 'train.log')
    return time.monotonic() - start


def _evaluate(task: Task, folder: Path) -> dict[str, float]:
    checkpoint = (folder / 'last_checkpoint').read_text().strip()
    test_dir = folder / 'test'
    _run_tool(
        'test.py',
        os.path.relpath(task.config),
        checkpoint,
        '--work-dir',
        str(test_dir),
        '--show-dir',
        str(folder / 'predictions'),
        log=folder / 'test.log',
    )
    # mmengine writes the metrics to <time>/<time>.json.
    metrics_file = max(test_dir.glob('*/*.json'), key=lambda file: file.stat().st_mtime)
    metrics = json.loads(metrics_file.read_text())
    return {name: round(metrics[key] * factor, 4) for name, (key, factor) in task.metrics.items()}


def _run_tool(tool: str, *arguments: str, log: Path) -> None:
    """Run a tool as its user would, with all that it prints in `log` and its progress on the screen."""
    command = ['python', f'tools/{tool}', *arguments]
    print(f'\n$ {" ".join(command)}\n  (log: {log})', flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / 'tools' / tool), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with log.open('w') as file:
        for line in process.stdout:
            file.write(line)
            if '(train)' in line or '(test)' in line:
                print('  ' + line.split(' INFO - ')[-1].rstrip()[:150], flush=True)
    if process.wait() != 0:
        print(''.join(log.read_text().splitlines(keepends=True)[-20:]), file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, command)


def _print_table(summary: dict[str, float | str], seconds: dict[str, float], work_dir: Path) -> None:
    print(f'\n{"model":<12}{"score":<12}{"value":>8}{"trained in":>14}')
    for task in TASKS:
        for name in task.metrics:
            print(f'{task.name:<12}{name:<12}{summary[name]:>8.3f}{seconds[task.name]:>12.0f} s')
    print(f'\nSummary: {work_dir}/summary.json. Pictures: {work_dir}/*/predictions/.')


def main() -> None:
    """Run the quick start from the command line."""
    parser = argparse.ArgumentParser(description=quickstart.__doc__.splitlines()[0])
    parser.add_argument('--work-dir', default='work_dirs/quickstart')
    try:
        quickstart(parser.parse_args().work_dir)
    except subprocess.CalledProcessError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    main()
