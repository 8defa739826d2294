"""A curve in one line of text."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

# No full block: curves in lines below each other would touch.
BLOCKS = '▁▂▃▄▅▆▇'
# Values above this quantile are drawn as high as it: the first losses of a run would flatten all others.
HIGHEST = 0.95


def sparkline(values: Sequence[float] | np.ndarray, width: int) -> str:
    """Return a curve as block characters, one for the mean of as many values; a space where none is finite.

    Args:
        values: The values.
        width: The most characters that it has.

    Example:
        >>> sparkline([0, 1, 2, 3, 4, 5, 6], 8)
        '▁▂▃▄▅▆▇'
        >>> sparkline([3, float('nan'), 3], 8)
        '▄ ▄'
    """
    values = np.asarray(values, np.float64)
    if not len(values) or width < 1:
        return ''
    starts = np.linspace(0, len(values), min(width, len(values)), endpoint=False).astype(int)
    is_finite = np.isfinite(values)
    counts = np.add.reduceat(is_finite, starts, dtype=np.int64)
    sums = np.add.reduceat(np.where(is_finite, values, 0.0), starts)
    means = sums[counts > 0] / counts[counts > 0]
    if not len(means):
        return ' ' * len(starts)
    low, high = means.min(), np.quantile(means, HIGHEST)
    heights = np.full(len(starts), -1)
    if high > low:
        shares = np.clip((means - low) / (high - low), 0, 1)
        heights[counts > 0] = (shares * (len(BLOCKS) - 1)).round()
    else:
        heights[counts > 0] = len(BLOCKS) // 2
    return ''.join(BLOCKS[height] if height >= 0 else ' ' for height in heights)


class Sparkline:
    """A curve that is as wide as its column.

    Args:
        values: The values.
        style: Its color.

    Example:
        >>> Console(width=4, color_system=None).print(Sparkline([1, 2, 3, 4]))  # doctest: +NORMALIZE_WHITESPACE
        ▁▃▅▇
    """

    def __init__(self, values: Sequence[float] | np.ndarray, style: str = '') -> None:
        self.values, self.style = values, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the line."""
        yield Text(sparkline(self.values, options.max_width), style=self.style, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return that it takes any width."""
        return Measurement(1, options.max_width)
