"""A run's losses and scores by step, several runs in one plot."""

import statistics
from collections.abc import Sequence
from typing import Any

from convnext_dense.config.training_options.metrics import points_factor
from convnext_dense.reports.run.finished_run import FinishedRun
from convnext_dense.reports.run.logged import Curve
from convnext_dense.reports.run.svg import COLORS, draw

# What is no loss or score.
OTHERS = ('data_time', 'time', 'memory', 'base_lr')
# How many plots there are of losses, and of scores.
MOST_PLOTS = 12
# A line of fewer points has a mark at each.
MARKED = 12


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
        axes.set_xlabel('step')
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


def _line(axes: Any, curves: Sequence[Curve], label: str, color: str) -> None:  # noqa: ANN401 - matplotlib's
    steps = sorted(set.intersection(*(set(curve) for curve in curves))) or sorted(curves[0])
    values = [[curve[step] for curve in curves if step in curve] for step in steps]
    marker = 'o' if len(steps) <= MARKED else None
    axes.plot(steps, list(map(statistics.fmean, values)), color=color, label=label, marker=marker, markersize=4)
    if len(curves) > 1:
        axes.fill_between(steps, list(map(min, values)), list(map(max, values)), color=color, alpha=0.2, linewidth=0)


def _colors(count: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(count)]
