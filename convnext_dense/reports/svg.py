"""Draws plots into a page as SVG, in the page's own colors and font."""

import io
from collections.abc import Callable
from typing import Any

import matplotlib

# Replaced by the page's color of text.
INK = '#010203'
STYLE = {
    'svg.fonttype': 'none',
    'font.family': 'sans-serif',
    'font.size': 10,
    'text.color': INK,
    'axes.edgecolor': INK,
    'axes.labelcolor': INK,
    'xtick.color': INK,
    'ytick.color': INK,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'legend.frameon': False,
    'legend.fontsize': 9,
    'axes.titlesize': 10,
}
# Readable on white and on black; the first are those of different runs.
COLORS = ('#3b82c4', '#e07b39', '#3fa35c', '#c4508f', '#8a6fd1', '#9a8b2e', '#2ba3a3', '#d1574f')


def draw(plot: Callable[[Any], None], title: str, width: float = 4.4, height: float = 3.0) -> str:
    """Return a plot as SVG.

    Args:
        plot: Draws into matplotlib's axes.
        title: What it shows, for those who do not see it, and above it.
        width: In inches.
        height: Likewise.

    Example:
        >>> draw(lambda axes: axes.plot([0, 1], [1, 0]), 'loss')[:4]
        '<svg'
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, 'svg.hashsalt': title}):
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        plot(axes)
        axes.set_title(title, loc='left', fontweight='bold')
        if not axes.images:
            axes.grid(alpha=0.2, color=INK)
        axes.set_axisbelow(True)
        figure.tight_layout()
        return as_svg(figure)


def as_svg(figure: Any) -> str:  # noqa: ANN401 - matplotlib's
    """Return a figure as SVG, in the page's own colors and font.

    Args:
        figure: The figure, made with `STYLE`. What is `INK` in it gets the page's color of text.
    """
    stream = io.StringIO()
    figure.savefig(stream, format='svg', transparent=True, bbox_inches='tight', metadata=dict(Date=None))
    svg = stream.getvalue()
    svg = svg[svg.index('<svg') :].replace(INK, 'currentColor').replace("'DejaVu Sans', ", '')
    # A page has several.
    return svg.replace('<svg ', '<svg role="img" ', 1)
