"""Puts drawn images with captions onto contact sheets."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from convnext_dense.visualization.drawing import Color, LegendEntry
from convnext_dense.visualization.text import shorten, text_size, write

COLUMNS, ROWS = 4, 3
# Of an image's longer side, between images, and of the fonts of captions and titles, in pixels.
TILE, GAP, FONT_SIZE, TITLE_SIZE = 360, 20, 13, 18
PAPER, INK, FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)
LINE = FONT_SIZE + 5


def make_sheet(title: str, tiles: Sequence[Image.Image], most: int = COLUMNS) -> Image.Image:
    """Return a sheet of tiles, such as `COLUMNS` x `ROWS` of them.

    Args:
        title: What is written above.
        tiles: The tiles, as `make_tile` returns them.
        most: How many tiles a row has at most.

    Example:
        >>> make_sheet('train', [Image.new('RGB', (360, 100))]).size
        (400, 166)
    """
    rows = [tiles[start : start + most] for start in range(0, len(tiles), most)]
    columns = min(len(tiles), most)
    head = GAP + TITLE_SIZE + 8
    width = columns * TILE + (columns + 1) * GAP
    sheet = Image.new('RGB', (width, head + sum(_height(row) for row in rows)), PAPER)
    write(sheet, (GAP, GAP // 2), shorten(title, TITLE_SIZE, width - 2 * GAP), TITLE_SIZE, INK)
    top = head
    for row in rows:
        for i, tile in enumerate(row):
            sheet.paste(tile, (GAP + i * (TILE + GAP), top))
        top += _height(row)
    return sheet


def make_tile(drawn: Image.Image, title: str, remark: str, legend: Sequence[LegendEntry], none: str) -> Image.Image:
    """Return an image with a caption below.

    Args:
        drawn: The image, at most `TILE` pixels wide.
        title: What the image is.
        remark: What was done to it.
        legend: What it shows.
        none: What is written if it shows nothing.

    Example:
        >>> make_tile(Image.new('RGB', (360, 100)), 'a.jpg', '', [((255, 0, 0), 'cat', '1')], '').width
        360
    """
    lines = _wrap(legend)
    tile = Image.new('RGB', (TILE, drawn.height + 4 + (2 + max(len(lines), 1)) * LINE), PAPER)
    tile.paste(drawn, ((TILE - drawn.width) // 2, 0))
    top = drawn.height + 4
    write(tile, (0, top), shorten(title, FONT_SIZE, TILE, keeps_end=True), FONT_SIZE, INK)
    write(tile, (0, top + LINE), shorten(remark, FONT_SIZE, TILE), FONT_SIZE, FAINT)
    top += 2 * LINE
    if not legend:
        write(tile, (0, top), none, FONT_SIZE, FAINT)
    for line in lines:
        for left, color, text in line:
            ImageDraw.Draw(tile).rectangle((left, top + 3, left + 10, top + 13), color, outline=FAINT)
            write(tile, (left + 15, top), text, FONT_SIZE, INK)
        top += LINE
    return tile


def _height(row: Sequence[Image.Image]) -> int:
    return max(tile.height for tile in row) + GAP


def _wrap(legend: Sequence[LegendEntry]) -> list[list[tuple[int, Color, str]]]:
    """Return the entries of a legend in lines, each with its left edge in pixels."""
    lines: list[list[tuple[int, Color, str]]] = []
    left = TILE
    for color, name, amount in legend:
        room = TILE - 15 - text_size(f' {amount}', FONT_SIZE)[0]
        text = f'{shorten(name, FONT_SIZE, room)} {amount}'
        width = 15 + text_size(text, FONT_SIZE)[0]
        if left + width > TILE or not lines:
            lines.append([])
            left = 0
        lines[-1].append((left, color, text))
        left += width + 12
    return lines
