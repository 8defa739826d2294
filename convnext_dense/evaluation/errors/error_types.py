"""Why a detector loses average precision, by TIDE's types of errors."""

from dataclasses import dataclass

import numpy as np

from convnext_dense.evaluation.errors.boxes import Boxes, overlaps, pairs_by_image

# The IoU from which a box is found, and up to which it is on background.
FOREGROUND, BACKGROUND = 0.5, 0.1
CORRECT, IGNORED = 'correct', 'ignored'
CLASS, PLACE, BOTH, DUPLICATE, ON_BACKGROUND, MISSED = (
    'class',
    'localization',
    'both',
    'duplicate',
    'background',
    'missed',
)
TYPES = {
    CLASS: f'IoU of at least {FOREGROUND} with an object of another class',
    PLACE: f'IoU of {BACKGROUND} to {FOREGROUND} with an object of its class',
    BOTH: f'IoU of {BACKGROUND} to {FOREGROUND} with an object of another class',
    DUPLICATE: 'its object has a box of a higher score already',
    ON_BACKGROUND: f'IoU of at most {BACKGROUND} with every object',
    MISSED: 'an object without a box, and without an error of class or localization',
}
# Recalls at which COCO averages precision.
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Errors:
    """The errors of a detector.

    Args:
        kind: By found box: one of `TYPES`, `CORRECT` or `IGNORED`.
        target: By found box: the object that it is nearest to as its kind says; -1 if there is none.
        is_missed: By object: whether it is missed.
        ap: The average precision at an IoU of `FOREGROUND`, from 0 to 1.
        cost: By type: what average precision would gain if there were no such errors.
    """

    kind: np.ndarray
    target: np.ndarray
    is_missed: np.ndarray
    ap: float
    cost: dict[str, float]

    @property
    def counts(self) -> dict[str, int]:
        """How many errors of each type there are."""
        found = {name: int((self.kind == name).sum()) for name in TYPES if name != MISSED}
        return {**found, MISSED: int(self.is_missed.sum())}


def find_errors(truth: Boxes, found: Boxes) -> Errors:
    """Return the type of each error, and what each type costs.

    Args:
        truth: The objects.
        found: What a detector found.

    Reference:
        TIDE: A General Toolbox for Identifying Object Detection Errors, https://arxiv.org/abs/2008.08115

    Example:
        >>> from convnext_dense.evaluation.errors.boxes import make_boxes
        >>> truth = make_boxes([0], [1], [[0, 0, 10, 10]])
        >>> errors = find_errors(truth, make_boxes([0], [2], [[0, 0, 10, 9]], [0.8]))
        >>> errors.kind.tolist(), errors.cost['class']
        (['class'], 1.0)
    """
    kind, target = np.full(len(found), ON_BACKGROUND, f'U{max(map(len, TYPES))}'), np.full(len(found), -1)
    for objects, boxes in pairs_by_image(truth, found):
        _look_at_image(truth, found, objects, boxes, kind, target)
    is_explained = np.zeros(len(truth), bool)
    is_explained[target[np.isin(kind, (CORRECT, CLASS, PLACE))]] = True
    is_missed = ~is_explained & ~truth.is_ignored
    ap = _average_precision(truth, found, kind, target, is_missed, '')
    cost = {name: _average_precision(truth, found, kind, target, is_missed, name) - ap for name in TYPES}
    return Errors(kind, target, is_missed, ap, cost)


def _look_at_image(
    truth: Boxes, found: Boxes, objects: np.ndarray, boxes: np.ndarray, kind: np.ndarray, target: np.ndarray
) -> None:
    """Set the kinds of an image's boxes, as COCO matches them: those of the highest score first."""
    boxes = boxes[np.argsort(-found.score[boxes], kind='stable')]
    if not len(boxes) or not len(objects):
        return
    ious = overlaps(found.box[boxes], truth.box[objects], truth.is_ignored[objects])
    same = found.label[boxes][:, None] == truth.label[objects][None]
    counts = ~truth.is_ignored[objects]
    is_taken = np.zeros(len(objects), bool)
    for row in range(len(boxes)):
        free = np.where(same[row] & counts & ~is_taken, ious[row], -1)
        best = int(free.argmax())
        if free[best] >= FOREGROUND:
            is_taken[best] = True
            kind[boxes[row]], target[boxes[row]] = CORRECT, objects[best]
        elif (same[row] & ~counts & (ious[row] >= FOREGROUND)).any():
            kind[boxes[row]] = IGNORED
    for row in range(len(boxes)):
        if kind[boxes[row]] == ON_BACKGROUND:
            name, column = _type_of(np.where(counts, ious[row], 0), same[row], is_taken)
            kind[boxes[row]], target[boxes[row]] = name, -1 if column is None else objects[column]


def _type_of(ious: np.ndarray, same: np.ndarray, is_taken: np.ndarray) -> tuple[str, int | None]:
    """Return the type of a box that is wrong, and the column of its object, in TIDE's order."""
    own, other = np.where(same, ious, 0), np.where(same, 0, ious)
    if BACKGROUND <= own.max() <= FOREGROUND:
        return PLACE, int(own.argmax())
    if other.max() >= FOREGROUND:
        return CLASS, int(other.argmax())
    if np.where(is_taken, own, 0).max() >= FOREGROUND:
        return DUPLICATE, None
    if ious.max() <= BACKGROUND:
        return ON_BACKGROUND, None
    return BOTH, None


def _average_precision(
    truth: Boxes, found: Boxes, kind: np.ndarray, target: np.ndarray, is_missed: np.ndarray, mended: str
) -> float:
    """Return the mean average precision of the classes, from 0 to 1, without the errors of a type."""
    counts = ~truth.is_ignored & ~(is_missed if mended == MISSED else np.zeros(len(truth), bool))
    is_kept = (kind != IGNORED) & (kind != mended)
    is_correct, label = kind == CORRECT, found.label.copy()
    if mended in (CLASS, PLACE):
        _mend(truth, found, kind, target, mended, is_kept, is_correct, label)
    values = []
    for number in np.unique(truth.label[counts]):
        own = is_kept & (label == number)
        values.append(average_precision(found.score[own], is_correct[own], int(counts[truth.label == number].sum())))
    # Without the missed objects, nothing may be left to find.
    return float(np.mean(values)) if values else float(mended == MISSED and len(truth) > 0)


def _mend(
    truth: Boxes,
    found: Boxes,
    kind: np.ndarray,
    target: np.ndarray,
    mended: str,
    is_kept: np.ndarray,
    is_correct: np.ndarray,
    label: np.ndarray,
) -> None:
    """Make the boxes of a type correct, the best of each object that has no correct one."""
    has_box = np.zeros(len(truth), bool)
    has_box[target[kind == CORRECT]] = True
    wrong = np.flatnonzero(kind == mended)
    for box in wrong[np.argsort(-found.score[wrong], kind='stable')]:
        if not has_box[target[box]]:
            has_box[target[box]] = True
            is_kept[box] = is_correct[box] = True
            label[box] = truth.label[target[box]]


def average_precision(score: np.ndarray, is_correct: np.ndarray, objects: int) -> float:
    """Return the average of the precision at COCO's 101 recalls, from 0 to 1.

    Args:
        score: Of each found box.
        is_correct: Whether it is correct.
        objects: How many objects there are, at least one.

    Example:
        >>> average_precision(np.array([0.9, 0.8]), np.array([True, False]), 1)
        1.0
    """
    hits = np.cumsum(is_correct[np.argsort(-score, kind='stable')])
    recall, precision = hits / objects, hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALLS - 1e-12, side='left')
    return float(np.append(best, 0.0)[places].mean())
