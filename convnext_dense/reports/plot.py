"""Plots of scores against costs."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

from convnext_dense.reports.svg import COLORS, STYLE, as_svg

MARKERS = 'osD^vP*Xph<>'


def plot_scores(
    names: Sequence[str],
    score: str,
    values: Sequence[Sequence[float]],
    costs: Mapping[str, Sequence[float]],
    file: Path,
) -> str:
    """Plot a score against several costs, a point a name with the seeds' standard deviation, into a PNG file.

    Args:
        names: The names of what is compared.
        score: The score's name.
        values: By name: the score of each seed.
        costs: By a cost's name: its value for each of `names`, NaN if it is not known.
        file: Where to.

    Returns:
        The same plot as SVG.

    Example:
        >>> import tempfile
        >>> plot_scores(['a'], 'mIoU', [[0.5]], {'params (M)': [28.0]}, Path(tempfile.mkdtemp(), 'a.png'))[:4]
        '<svg'
    """
    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    with matplotlib.rc_context({**STYLE, 'svg.hashsalt': score}):
        colors = [COLORS[i % len(COLORS)] for i in range(len(names))]
        figure, axes = plt.subplots(1, len(costs), figsize=(4 * len(costs), 4.2), sharey=True, squeeze=False)
        for axis, (label, cost) in zip(axes[0], costs.items(), strict=True):
            for i, (name, scores) in enumerate(zip(names, values, strict=True)):
                axis.errorbar(
                    cost[i],
                    statistics.mean(scores),
                    yerr=statistics.stdev(scores) if len(scores) > 1 else None,
                    marker=MARKERS[i % len(MARKERS)],
                    color=colors[i],
                    markersize=9,
                    linestyle='none',
                    label=name,
                )
            axis.set_xlabel(label)
            axis.margins(0.15)
            axis.grid(alpha=0.3)
        axes[0][0].set_ylabel(score)
        handles, labels = axes[0][0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc='upper center', bbox_to_anchor=(0.5, 0.02), ncol=2, frameon=False)
        figure.tight_layout()
        figure.savefig(file, dpi=120, bbox_inches='tight')
        svg = as_svg(figure)
        plt.close(figure)
        return svg
