"""Scores against the share of what is correct."""

from typing import Any

from convnext_dense.evaluation.errors.calibration import BINS, Reliability
from convnext_dense.reports.svg import COLORS, INK, draw


def calibration_section(found: Reliability, what: str) -> str:
    """Return a reliability curve and the calibration error.

    Args:
        found: Predictions by their scores.
        what: What a prediction is, and when it is correct.
    """
    if not found.count.sum():
        return ''

    def curve(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        axes.plot([0, 1], [0, 1], color=INK, linestyle='--', linewidth=1, alpha=0.5)
        axes.plot(*found.curve(), color=COLORS[0], marker='o', markersize=4)
        axes.set(xlabel='score', ylabel='share that is correct', xlim=(0, 1), ylim=(0, 1.02))

    def counts(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        places = [(i + 0.5) / BINS for i in range(BINS)]
        axes.bar(places, found.count / found.count.sum(), width=0.9 / BINS, color=COLORS[0])
        axes.set(xlabel='score', ylabel='share of predictions', xlim=(0, 1))

    error = f'The expected calibration error is {100 * found.error:.1f} %, in {BINS} bins, of {what}.'
    about = 'Above the dashed line scores are too low, below it too high.'
    plots = f'<div>{draw(curve, "reliability")}</div><div>{draw(counts, "scores")}</div>'
    return f'<h3>Calibration</h3><p>{error} {about}</p><div class="plots">{plots}</div>'
