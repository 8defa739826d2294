"""Work dirs of runs that were never made: what they logged, and what their last validation found."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from convnext_dense.config.data.replace import make_palette
from convnext_dense.evaluation.errors.boxes import make_boxes
from convnext_dense.evaluation.recording.record import RECORD_FILE, ShownImage, ValidationRecord, save_record

CLASSES = ['cat', 'dog']
BOX = [4.0, 4.0, 20.0, 20.0]


def log(folder: Path, start: str, *rows: dict) -> Path:
    """Write what a part of a run logged, which began at this time."""
    file = folder / start / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('\n'.join(map(json.dumps, rows)))
    return folder


def train_row(step: int, loss: float) -> dict:
    """A row of training."""
    return dict(loss=loss, lr=0.1, iter=step, step=step)


def finished(folder: Path, seed: int = 0, mean_ap: float = 0.4) -> Path:
    """A run of two validations."""
    score = 'coco/bbox_mAP'
    rows = [train_row(1, 2.0), {score: mean_ap / 2, 'step': 1}, train_row(2, 1.0), {score: mean_ap, 'step': 2}]
    log(folder, '20260101_000000', *rows)
    (folder / 'config.py').write_text(
        f'model = dict(depth=50)\nwork_dir = {str(folder)!r}\nrandomness = dict(seed={seed})\n'
    )
    return folder


def detector_record(folder: Path) -> ValidationRecord:
    """A detector that found one of two objects, and its images."""
    shown = []
    for i in range(2):
        file = folder / f'{i}.png'
        Image.new('RGB', (32, 24)).save(file)
        truth = [dict(label=i, box=BOX)]
        found = [dict(label=0, box=BOX, score=0.9)] if not i else []
        shown.append(ShownImage(i, str(file), 1.0 - i, (24, 32), truth, found))
    record = ValidationRecord(
        CLASSES, make_palette(2), 'epoch 2', {}, 2, 2, np.array([1.0, 0.0]), shown,
        make_boxes([0, 1], [0, 1], [BOX, BOX]), make_boxes([0], [0], [BOX], [0.9]),
    )  # fmt: skip
    save_record(record, folder / RECORD_FILE)
    return record


def segmenter_record(folder: Path) -> ValidationRecord:
    """A segmenter, and an image that is no longer there."""
    maps = tuple(np.full((24, 32), label, np.int16) for label in (0, 1))
    arrays = dict(
        confusion=np.array([[90, 10], [0, 50]]),
        boundary_confusion=np.array([[9, 10], [0, 5]]),
        distances=np.array([[5, 5, 0, 0, 0, 0, 0], [20, 20, 20, 20, 20, 20, 30]]),
        reliability=np.ones((3, 15)),
    )
    shown = [ShownImage(0, str(folder / 'missing.png'), 0.5, (24, 32), maps=maps)]
    record = ValidationRecord(CLASSES, make_palette(2), 'step 9', {}, 1, 1, np.ones(1), shown, arrays=arrays)
    save_record(record, folder / RECORD_FILE)
    return record
