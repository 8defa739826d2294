"""A run's losses and scores by step, several runs in one plot."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from convnext_dense.config.training_options.metrics import points_factor
from convnext_dense.reports.run.finished_run import FinishedRun
from convnext_dense.reports.run.logged import Curve
from convnext_dense.reports.svg import COLORS, INK, draw
from convnext_dense.wording import counted

# What is no loss or score.
OTHERS = ('data_time', 'time', 'memory', 'base_lr')
# How many plots there are of losses, and of scores.
MOST_PLOTS = 12
# A line of fewer points has a mark at each.
MARKED = 12
# How far beyond the middle half of the values, in its widths, a value is an outlier, as in Tukey's box plots. They are
# cut off if the others would have less than this share of the axis.
FENCE, LEAST_SHARE = 3.0, 0.2


def curve_plots(groups: dict[str, list[FinishedRun]]) -> str:
    """Return the plots of what runs logged. Runs of several seeds are a line of their mean, in a band of all.
    Short runs may have none.

    Args:
        groups: Runs that differ in nothing except their seeds, by a name.
    """
    scores, losses = _names(groups, 'validation'), _names(groups, 'training')
    losses = sorted(losses, key=lambda name: (name != 'loss', name == 'lr', 'loss' not in name))
    plots = [_plot(groups, 'validation', name) for name in scores[:MOST_PLOTS]]
    plots += [_plot(groups, 'training', name) for name in losses[:MOST_PLOTS]]
    if not plots:
        return ''
    return '<div class="plots">' + ''.join(f'<div>{plot}</div>' for plot in plots) + '</div>'


def _names(groups: dict[str, list[FinishedRun]], part: str) -> list[str]:
    runs = [run for members in groups.values() for run in members]
    names = dict.fromkeys(name for run in runs for name in getattr(run, part))
    curves = {name: [getattr(run, part).get(name, {}) for run in runs] for name in names if name not in OTHERS}
    # One value is no curve. A score that a validation cannot have, such as of large objects, is -1.
    return [
        name
        for name, found in curves.items()
        if any(len(curve) > 1 for curve in found)
        and not (part == 'validation' and all(value < 0 for curve in found for value in curve.values()))
    ]


def _plot(groups: dict[str, list[FinishedRun]], part: str, name: str) -> str:
    def plot(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        drawn = 0
        for color, (label, members) in zip(_colors(len(groups)), groups.items(), strict=True):
            curves = [curve for run in members if (curve := getattr(run, part).get(name))]
            if curves:
                _line(axes, curves, label, color)
                drawn += 1
        axes.set_xlabel(f'step{_cut_outliers(axes)}')
        axes.margins(x=0.03)
        if drawn > 1:
            axes.legend()

    return draw(plot, with_unit(name) if part == 'validation' else name)


def with_unit(name: str) -> str:
    """Return a score's name with its unit, if that is known.

    Args:
        name: The metric.

    Example:
        >>> with_unit('coco/bbox_mAP'), with_unit('rmse')
        ('coco/bbox_mAP, %', 'rmse')
    """
    return name if points_factor(name) is None else f'{name}, %'


def readable_range(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the range of values without outliers; None if no outlier makes the others unreadable.

    Args:
        values: The values.

    Reference:
        J. W. Tukey, "Exploratory Data Analysis", 1977: the outer fences.

    Example:
        >>> readable_range([4.0, 5.0, 6.0, 5.0, 90000.0]), readable_range([4.0, 5.0, 6.0])
        ((4.0, 9.0), None)
    """
    known = np.array(values, float)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    first, third = np.percentile(known, [25, 75])
    least, most = known.min(), known.max()
    low = max(least, first - FENCE * (third - first))
    high = min(most, third + FENCE * (third - first))
    return (float(low), float(high)) if 0 < high - low < LEAST_SHARE * (most - least) else None


def _cut_outliers(axes: Any) -> str:  # noqa: ANN401 - matplotlib's
    """Cut outliers off, mark where they are, and return how many there are, as the end of the axis' name."""
    points = np.vstack([line.get_xydata() for line in axes.lines] or [np.zeros((0, 2))])
    limits = readable_range(points[:, 1].tolist())
    if limits is None:
        return ''
    margin = 0.05 * (limits[1] - limits[0])
    bottom, top = limits[0] - margin, limits[1] + margin
    cut = points[(points[:, 1] < bottom) | (points[:, 1] > top)]
    for marker, edge, part in (('^', top, cut[cut[:, 1] > top]), ('v', bottom, cut[cut[:, 1] < bottom])):
        axes.plot(part[:, 0], np.full(len(part), edge), marker, color=INK, markersize=4, clip_on=False)
    axes.set_ylim(bottom, top)
    farthest = cut[np.abs(cut[:, 1] - (bottom + top) / 2).argmax(), 1]
    return f' ({counted(len(cut), "value")} cut off, up to {farthest:.3g})'


def _line(axes: Any, curves: Sequence[Curve], label: str, color: str) -> None:  # noqa: ANN401 - matplotlib's
    steps = sorted(set.intersection(*(set(curve) for curve in curves))) or sorted(curves[0])
    values = [[curve[step] for curve in curves if step in curve] for step in steps]
    marker = 'o' if len(steps) <= MARKED else None
    axes.plot(steps, list(map(statistics.fmean, values)), color=color, label=label, marker=marker, markersize=4)
    if len(curves) > 1:
        axes.fill_between(steps, list(map(min, values)), list(map(max, values)), color=color, alpha=0.2, linewidth=0)


def _colors(count: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(count)]
