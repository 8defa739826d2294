"""What a segmenter gets wrong: IoU by class, confusions, boundaries, calibration."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from convnext_dense.evaluation.errors.calibration import Reliability
from convnext_dense.evaluation.errors.label_maps import DISTANCES, class_ious
from convnext_dense.evaluation.recording.record import ValidationRecord
from convnext_dense.reports.run.calibration_plot import calibration_section
from convnext_dense.reports.run.parts import bar, confusion_section, folded_table, percent, swatch
from convnext_dense.reports.svg import COLORS, draw


def label_map_sections(record: ValidationRecord) -> Iterator[str]:
    """Yield what a segmenter gets wrong, as parts of a page.

    Args:
        record: What its last validation found.
    """
    if 'confusion' not in record.arrays:
        return
    confusion, near = record.arrays['confusion'], record.arrays['boundary_confusion']
    yield _classes(record, confusion, near)
    yield '<h3>Confusion</h3>'
    yield confusion_section(confusion, record.classes, 'pixels', len(record.classes))
    yield _boundaries(record.arrays['distances'])
    bins = Reliability(*record.arrays['reliability'])
    yield calibration_section(bins, "pixels of a grid, correct if they have the truth's class")


def _classes(record: ValidationRecord, confusion: np.ndarray, near: np.ndarray) -> str:
    ious, near_ious, pixels = class_ious(confusion), class_ious(near), confusion.sum(axis=1)
    recalls = np.divide(np.diag(confusion), pixels, out=np.full(len(ious), np.nan), where=pixels > 0)
    total = max(int(pixels.sum()), 1)
    rows = [['all', percent(_mean(ious)), bar(_mean(ious)), percent(_mean(recalls)), percent(_mean(near_ious)), '100']]
    # The worst first.
    for i in sorted(range(len(ious)), key=lambda i: (np.isnan(ious[i]), ious[i])):
        part = 0.0 if np.isnan(ious[i]) else ious[i]
        name = swatch(record.classes[i], record.colors[i])
        share = 100 * pixels[i] / total
        shown = f'{share:.1f}' if share >= 0.1 or not share else '< 0.1'
        rows.append([name, percent(ious[i]), bar(part), percent(recalls[i]), percent(near_ious[i]), shown])
    header = ['class', 'IoU', '', 'recall', 'near edges', '% of pixels']
    return (
        '<h3>IoU by class</h3><p class="faint">In percent, the worst classes first. Near edges is the IoU within '
        f"2 % of the image's diagonal of a boundary of the truth.</p>{folded_table(header, rows)}"
    )


def _boundaries(distances: np.ndarray) -> str:
    wrong, pixels = distances
    if not wrong.sum():
        return ''
    starts = [1, *(distance + 1 for distance in DISTANCES)]
    names = [str(end) if start == end else f'{start}-{end}' for start, end in zip(starts, DISTANCES, strict=False)]
    names.append(f'> {DISTANCES[-1]}')

    def rates(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        axes.bar(names, 100 * wrong / np.maximum(pixels, 1), color=COLORS[0])
        axes.set(xlabel='pixels to the nearest boundary', ylabel='% of them wrong')

    def shares(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        axes.bar(names, 100 * wrong / wrong.sum(), color=COLORS[1])
        axes.set(xlabel='pixels to the nearest boundary', ylabel='% of all that is wrong')

    near = 100 * wrong[: DISTANCES.index(4) + 1].sum() / wrong.sum()
    plots = f'<div>{draw(rates, "how often")}</div><div>{draw(shares, "of all errors")}</div>'
    return (
        f'<h3>Errors at boundaries</h3><p>{100 * wrong.sum() / pixels.sum():.1f} % of all pixels are wrong. '
        f'{near:.0f} % of these are at most 4 pixels from a boundary of the truth.</p>'
        f'<div class="plots">{plots}</div>'
    )


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float('nan')
