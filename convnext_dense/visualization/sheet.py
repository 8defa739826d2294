"""Puts drawn images with captions onto contact sheets."""

from collections.abc import Mapping, Sequence

from PIL import Image

from convnext_dense.visualization.legend import (
    FAINT,
    FONT_SIZE,
    INK,
    LINE,
    PAPER,
    LegendEntry,
    wrap_legend,
    write_legend,
)
from convnext_dense.visualization.text import shorten, write

COLUMNS, ROWS = 4, 3
# Of an image's longer side, between images, and of the font of titles, in pixels.
TILE, GAP, TITLE_SIZE = 360, 20, 18


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
    lines = wrap_legend(legend, TILE)
    tile = Image.new('RGB', (TILE, drawn.height + 4 + (2 + max(len(lines), 1)) * LINE), PAPER)
    tile.paste(drawn, ((TILE - drawn.width) // 2, 0))
    top = drawn.height + 4
    write(tile, (0, top), shorten(title, FONT_SIZE, TILE, keeps_end=True), FONT_SIZE, INK)
    write(tile, (0, top + LINE), shorten(remark, FONT_SIZE, TILE), FONT_SIZE, FAINT)
    top += 2 * LINE
    if not legend:
        write(tile, (0, top), none, FONT_SIZE, FAINT)
    write_legend(tile, lines, 0, top)
    return tile


def side_by_side(views: Mapping[str, Image.Image]) -> Image.Image:
    """Return views of an image next to each other, each with a caption above.

    Args:
        views: The drawn views, of one width, by their captions.

    Example:
        >>> side_by_side(dict(truth=Image.new('RGB', (360, 100)), prediction=Image.new('RGB', (360, 110)))).size
        (740, 132)
    """
    width, height = (max(sizes) for sizes in zip(*(view.size for view in views.values()), strict=True))
    canvas = Image.new('RGB', (len(views) * (width + GAP) - GAP, height + LINE + 4), PAPER)
    for i, (caption, view) in enumerate(views.items()):
        left = i * (width + GAP)
        write(canvas, (left, 2), shorten(caption, FONT_SIZE, width), FONT_SIZE, FAINT)
        canvas.paste(centered(view, height), (left, LINE + 4))
    return canvas


def centered(drawn: Image.Image, height: int) -> Image.Image:
    """Return a picture in the middle of one of a given height: one without objects has no room for names.

    Args:
        drawn: The picture.
        height: The height in pixels.

    Example:
        >>> centered(Image.new('RGB', (360, 100)), 120).size
        (360, 120)
    """
    canvas = Image.new('RGB', (drawn.width, height), PAPER)
    canvas.paste(drawn, (0, (height - drawn.height) // 2))
    return canvas


def _height(row: Sequence[Image.Image]) -> int:
    return max(tile.height for tile in row) + GAP
