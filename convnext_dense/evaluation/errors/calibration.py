"""Whether scores are what they say: the share of what is correct."""

from dataclasses import dataclass

import numpy as np

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Predictions in bins of equal width by their score from 0 to 1.

    Args:
        count: How many predictions each bin has, with shape (bins,).
        score: The sum of their scores.
        correct: How many of them are correct.
    """

    count: np.ndarray
    score: np.ndarray
    correct: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance of score and share of correct ones; nan of nothing."""
        return float(np.abs(self.score - self.correct).sum() / total) if (total := self.count.sum()) else float('nan')

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean score and the share of correct ones of each bin that has predictions."""
        has = self.count > 0
        return self.score[has] / self.count[has], self.correct[has] / self.count[has]


def reliability(score: np.ndarray, is_correct: np.ndarray) -> Reliability:
    """Return how often predictions of a score are correct.

    Args:
        score: The scores, from 0 to 1.
        is_correct: Whether each prediction is correct.

    Reference:
        On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599

    Example:
        >>> round(reliability(np.array([0.8, 0.8]), np.array([True, False])).error, 6)
        0.3
    """
    score = np.clip(np.asarray(score, np.float64), 0, 1)
    place = np.minimum((score * BINS).astype(np.int64), BINS - 1)
    sums = (np.bincount(place, weights, BINS) for weights in (None, score, np.asarray(is_correct, np.float64)))
    return Reliability(*(values.astype(np.float64) for values in sums))
