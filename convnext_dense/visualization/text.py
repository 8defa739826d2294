"""Writes text into pictures, in any script that a font of this machine has."""

from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

# matplotlib brings it.
FONT = Path(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')
DARK, LIGHT = (20, 20, 20), (255, 255, 255)
ELLIPSIS = '…'


def text_size(text: str, height: int) -> tuple[int, int]:
    """Return the width and height in pixels of a line of text.

    Args:
        text: The text.
        height: The font's size in pixels.

    Example:
        >>> text_size('cat', 20)[0] > text_size('cat', 10)[0]
        True
    """
    font = _font(text, height)
    return round(font.getlength(text)), sum(font.getmetrics())


def write(canvas: Image.Image, place: tuple[float, float], text: str, height: int, color: tuple[int, ...]) -> None:
    """Write a line of text.

    Args:
        canvas: The picture, which is changed.
        place: The text's left and top.
        text: The text.
        height: The font's size in pixels.
        color: The text's color.

    Example:
        >>> canvas = Image.new('RGB', (40, 20))
        >>> write(canvas, (0, 0), 'cat', 12, (255, 255, 255))
        >>> canvas.getbbox() is not None
        True
    """
    ImageDraw.Draw(canvas).text(place, text, color, _font(text, height))


def shorten(text: str, height: int, width: int, keeps_end: bool = False) -> str:
    """Return a text, or as much of it as fits a width.

    Args:
        text: The text.
        height: The font's size in pixels.
        width: The width in pixels.
        keeps_end: Whether its end is kept, which says most of a path; otherwise its beginning is.

    Example:
        >>> shorten('a/very/long/path.jpg', 12, 70, keeps_end=True)
        '…/path.jpg'
    """
    if text_size(text, height)[0] <= width:
        return text
    for count in range(len(text) - 1, 0, -1):
        shown = ELLIPSIS + text[-count:] if keeps_end else text[:count] + ELLIPSIS
        if text_size(shown, height)[0] <= width:
            return shown
    return ELLIPSIS


def text_color(background: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the color of text that can be read on a background.

    Example:
        >>> text_color((255, 255, 0))
        (20, 20, 20)
    """
    luminance = np.dot(background, (0.299, 0.587, 0.114))
    return DARK if luminance > 140 else LIGHT


def _font(text: str, height: int) -> ImageFont.FreeTypeFont:
    return _load(_file_with(''.join(sorted(set(text)))), height)


@lru_cache(maxsize=64)
def _load(file: str, height: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, height)


@lru_cache(maxsize=1024)
def _file_with(characters: str) -> str:
    """Return the font that has these characters; the usual one if none has."""
    wanted = {ord(character) for character in characters}
    if wanted <= _characters(str(FONT)):
        return str(FONT)
    # Imported here because it looks for all fonts of the machine.
    from matplotlib.font_manager import fontManager

    # matplotlib's last resort draws what script a character is of.
    files = sorted(
        {
            font.fname
            for font in fontManager.ttflist
            if font.style == 'normal' and font.weight in (400, 'normal') and 'LastResort' not in font.fname
        }
    )
    return next((file for file in files if wanted <= _characters(file)), str(FONT))


@lru_cache(maxsize=256)
def _characters(file: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(file).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
