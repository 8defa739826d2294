"""What a detector gets wrong: precision and recall, types of errors, confusions, classes and sizes, calibration."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from convnext_dense.evaluation.errors.boxes import Boxes
from convnext_dense.evaluation.errors.calibration import reliability
from convnext_dense.evaluation.errors.confusion import IOU, SCORE, box_confusion
from convnext_dense.evaluation.errors.error_types import CORRECT, IGNORED, RECALLS, TYPES, find_errors
from convnext_dense.evaluation.recording.record import ValidationRecord
from convnext_dense.reports.run.calibration_plot import calibration_section
from convnext_dense.reports.run.parts import bar, confusion_section, folded_table, percent, swatch
from convnext_dense.reports.svg import COLORS, INK, draw

THRESHOLDS = np.linspace(0.5, 0.95, 10)
SIZES = ('all', 'small', 'medium', 'large')
# Of more classes, a plot's lines have no names.
NAMED = 8


def detection_sections(record: ValidationRecord) -> Iterator[str]:
    """Yield what a detector gets wrong, as parts of a page.

    Args:
        record: What its last validation found.
    """
    truth, found = record.truth, record.found
    if truth is None or found is None:
        return
    errors = find_errors(truth, found)
    yield _errors(errors.cost, errors.counts, errors.ap)
    precision = _coco_precision(truth, found, len(record.classes))
    if precision is not None:
        yield _curves(record, precision)
        yield _classes(record, truth, precision)
    yield (
        f'<h3>Confusion</h3><p class="faint">Boxes with a score of at least {SCORE} and an IoU of at least {IOU}; '
        'background is where no object is, and where none was found.</p>'
    )
    names = [*record.classes, 'background']
    yield confusion_section(box_confusion(truth, found, len(record.classes)), names, 'objects', len(record.classes))
    counts = errors.kind != IGNORED
    yield calibration_section(
        reliability(found.score[counts], errors.kind[counts] == CORRECT),
        f'boxes, correct with an IoU of at least {IOU} with an object of their class that no better box has',
    )


def _errors(cost: dict[str, float], counts: dict[str, int], ap: float) -> str:
    most = max([*cost.values(), 1e-12])
    rows = [
        [f'{name}<br><small>{meaning}</small>', f'{100 * cost[name]:.1f}', bar(cost[name] / most), f'{counts[name]:,}']
        for name, meaning in TYPES.items()
    ]
    return (
        '<h3>Types of errors</h3><p class="faint">What AP at an IoU of 0.5, which is '
        f'{100 * ap:.1f} %, would gain without the errors of a type, as '
        '<a href="https://arxiv.org/abs/2008.08115">TIDE</a> defines them. Each type is mended alone, so the '
        f'gains do not add up.</p>{folded_table(["error", "costs AP, %", "", "how many"], rows)}'
    )


def _coco_precision(truth: Boxes, found: Boxes, classes: int) -> np.ndarray | None:
    """Return COCO's precision by threshold, recall, class and size; None without objects. -1 is where none is."""
    if not (~truth.is_ignored).any():
        return None
    # Imported here: mmdet takes a second.
    from convnext_dense.evaluation.coco_scores import number_truth, score

    images = np.unique(np.concatenate([truth.image, found.image])).tolist()
    annotations = [
        dict(id=i, image_id=image, category_id=label, bbox=_sides(box), area=area, iscrowd=int(is_ignored))
        for i, (image, label, box, area, is_ignored) in enumerate(
            zip(*(part.tolist() for part in (truth.image, truth.label, truth.box, truth.area, truth.is_ignored)),
                strict=True), 1)
    ]  # fmt: skip
    dataset: dict[str, Any] = dict(images=[dict(id=image) for image in images], annotations=annotations)
    numbered = number_truth(dataset, images, list(range(classes)), {}, False)
    records = []
    for image, label, box, points in zip(
        *(part.tolist() for part in (found.image, found.label, found.box, found.score)), strict=True
    ):
        x, y, width, height = _sides(box)
        place = dict(image_id=numbered.images[image], category_id=numbered.categories[label])
        records.append(dict(**place, bbox=[x, y, width, height], area=width * height, score=points))
    scores = score(numbered, records, 'bbox', [100], THRESHOLDS.tolist(), list(range(classes)))
    return scores.precision[..., -1]


def _sides(box: list[float]) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _curves(record: ValidationRecord, precision: np.ndarray) -> str:
    at_half = precision[0, :, :, 0]
    has = (at_half > -1).any(axis=0)

    def by_class(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        many = has.sum() > NAMED
        for i in np.flatnonzero(has):
            color = tuple(part / 255 for part in record.colors[i])
            name = None if many else record.classes[i]
            axes.plot(
                100 * RECALLS, 100 * at_half[:, i], color=color, label=name, linewidth=1, alpha=0.45 if many else 1
            )
        axes.plot(100 * RECALLS, 100 * at_half[:, has].mean(axis=1), color=INK, linewidth=2.2, label='mean')
        axes.set(xlabel='recall, %', ylabel='precision, %', xlim=(0, 100), ylim=(0, 102))
        axes.legend(loc='lower left')

    def by_threshold(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        for color, place in zip(COLORS, (0, 2, 4, 6, 8), strict=False):
            curve = precision[place, :, :, 0][:, has].mean(axis=1)
            axes.plot(100 * RECALLS, 100 * curve, color=color, label=f'IoU {THRESHOLDS[place]:.2f}')
        axes.set(xlabel='recall, %', ylabel='mean precision, %', xlim=(0, 100), ylim=(0, 102))
        axes.legend()

    plots = f'<div>{draw(by_class, "by class, at an IoU of 0.50")}</div><div>{draw(by_threshold, "by IoU")}</div>'
    return f'<h3>Precision and recall</h3><div class="plots">{plots}</div>'


def _classes(record: ValidationRecord, truth: Boxes, precision: np.ndarray) -> str:
    def average(part: np.ndarray) -> float:
        return float(part[part > -1].mean()) if (part > -1).any() else float('nan')

    counts = np.bincount(truth.label[~truth.is_ignored], minlength=len(record.classes))
    aps = [average(precision[:, :, i, 0]) for i in range(len(record.classes))]
    rows = []
    # The worst first.
    for i in sorted(range(len(aps)), key=lambda i: (np.isnan(aps[i]), aps[i])):
        own = precision[:, :, i]
        sizes = [percent(average(own[..., place])) for place in range(1, len(SIZES))]
        ap = 0.0 if np.isnan(aps[i]) else aps[i]
        name = swatch(record.classes[i], record.colors[i])
        rows.append([name, percent(aps[i]), bar(ap), percent(average(own[0, :, 0])), *sizes, f'{counts[i]:,}'])
    total = [percent(average(precision[..., place])) for place in range(len(SIZES))]
    mean = ['all', total[0], bar(average(precision[..., 0])), percent(average(precision[0, ..., 0])), *total[1:]]
    header = ['class', 'AP', '', 'AP50', *SIZES[1:], 'objects']
    table = folded_table(header, [[*mean, f'{counts.sum():,}'], *rows])
    return (
        '<h3>By class and size</h3><p class="faint">AP of boxes in percent, as COCO defines it, the worst classes '
        f'first. Small is below 32 x 32, large from 96 x 96 pixels on.</p>{table}'
    )
