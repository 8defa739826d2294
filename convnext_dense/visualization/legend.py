"""Writes which color is which class."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from convnext_dense.visualization.text import shorten, text_size, write

Color = tuple[int, ...]
# A class's color and name, and how much of it there is.
LegendEntry = tuple[Color, str, str]
# The entries of a line, each with its left edge in pixels.
LegendLine = list[tuple[int, Color, str]]

PAPER, INK, FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)
# Of the font, of a line, and of a color's square with the space behind it, in pixels.
FONT_SIZE = 13
LINE = FONT_SIZE + 5
SQUARE, BEHIND = 10, 12


def wrap_legend(legend: Sequence[LegendEntry], width: int) -> list[LegendLine]:
    """Return the entries of a legend in lines.

    Args:
        legend: The entries.
        width: The width of a line in pixels.

    Example:
        >>> [len(line) for line in wrap_legend([((255, 0, 0), 'cat', '1')] * 5, 150)]
        [2, 2, 1]
    """
    lines: list[LegendLine] = []
    left = width
    for color, name, amount in legend:
        room = width - SQUARE - 5 - text_size(f' {amount}', FONT_SIZE)[0]
        text = f'{shorten(name, FONT_SIZE, room)} {amount}'
        needed = SQUARE + 5 + text_size(text, FONT_SIZE)[0]
        if left + needed > width or not lines:
            lines.append([])
            left = 0
        lines[-1].append((left, color, text))
        left += needed + BEHIND
    return lines


def write_legend(canvas: Image.Image, lines: Sequence[LegendLine], left: int, top: int) -> None:
    """Write a legend into a picture.

    Args:
        canvas: The picture, which is changed.
        lines: The legend's lines, as `wrap_legend` returns them.
        left: Where it begins, in pixels.
        top: Likewise.
    """
    for i, line in enumerate(lines):
        y = top + i * LINE
        for x, color, text in line:
            x += left
            ImageDraw.Draw(canvas).rectangle((x, y + 3, x + SQUARE, y + 3 + SQUARE), color, outline=FAINT)
            write(canvas, (x + SQUARE + 5, y), text, FONT_SIZE, INK)


def with_legend(drawn: Image.Image, legend: Sequence[LegendEntry], only_line: bool = False) -> Image.Image:
    """Return a picture with a legend below.

    Args:
        drawn: The picture.
        legend: The entries, the most frequent first.
        only_line: Whether there is room for one line of them, also if there are none, so that the frames of a video
            have one size. The line is in the order of the names, so that they stay where they are.

    Example:
        >>> with_legend(Image.new('RGB', (360, 100)), [((255, 0, 0), 'cat', '1')]).size
        (360, 126)
    """
    lines = wrap_legend(legend, drawn.width - 8)
    if only_line:
        shown = sorted(legend[: len(lines[0])], key=lambda entry: entry[1]) if lines else []
        lines = wrap_legend(shown, drawn.width - 8)[:1]
    below = LINE * (1 if only_line else len(lines)) + 8
    canvas = Image.new('RGB', (drawn.width, drawn.height + below), PAPER)
    canvas.paste(drawn, (0, 0))
    write_legend(canvas, lines, 4, drawn.height + 4)
    return canvas
