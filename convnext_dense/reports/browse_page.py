"""The page that shows what a model is fed."""

import base64
import html
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from convnext_dense.reports.page import html_facts, html_page

STYLE = """<style>
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1.2rem;
  grid-auto-flow: dense }
details { min-width: 0 }
details { cursor: zoom-in }
summary { list-style: none }
summary::-webkit-details-marker { display: none }
details img { display: block; max-width: 100%; height: auto; margin: 0 auto }
details[open] { grid-column: 1 / -1; cursor: zoom-out }
details[open] summary img { display: none }
.caption { font-size: 13px; overflow-wrap: anywhere }
.entry { display: inline-block; margin-right: .8rem }
.faint { color: #666 }
i { display: inline-block; width: .7em; height: .7em; border: 1px solid #777; margin-right: .35em }
</style>"""
# How many classes the legend above the images has at most.
MOST_CLASSES = 200


@dataclass(frozen=True)
class PageImage:
    """An image of the page.

    Args:
        title: What it is.
        remark: What was done to it.
        legend: What it shows: a color, as RGB, a name, and an amount each.
        small: The drawn image, as it is among others.
        large: The drawn image, as it is alone.
    """

    title: str
    remark: str
    legend: Sequence[tuple[tuple[int, ...], str, str]]
    small: bytes
    large: bytes


def browse_page(
    title: str,
    facts: dict[str, str],
    classes: Sequence[tuple[tuple[int, ...], str]],
    images: Sequence[PageImage],
    none: str,
) -> str:
    """Return the page, which holds its images. One that is clicked on is enlarged.

    Args:
        title: The page's title.
        facts: What is said above the images, by name.
        classes: The colors, as RGB, and names of the classes.
        images: The images.
        none: What is written at an image that shows nothing.

    Example:
        >>> small = to_jpeg(Image.new('RGB', (8, 8)))
        >>> image = PageImage('a.jpg', '8x8 px', [((255, 0, 0), 'cat', '1')], small, small)
        >>> 'cat 1' in browse_page('Fed', {}, [((255, 0, 0), 'cat')], [image], 'no objects')
        True
    """
    shown = ''.join(_entry(color, name) for color, name in classes[:MOST_CLASSES])
    more = f'and {len(classes) - MOST_CLASSES} more' if len(classes) > MOST_CLASSES else ''
    legend = f'<p class="legend">{shown}{more}</p>'
    grid = '\n'.join(part for image in images for part in _image(image, none))
    return html_page(title, STYLE, html_facts(facts), legend, f'<div class="grid">\n{grid}\n</div>')


def to_jpeg(image: Image.Image) -> bytes:
    """Return an image as JPEG whose colored lines stay sharp.

    Example:
        >>> to_jpeg(Image.new('RGB', (8, 8)))[:2]
        b'\\xff\\xd8'
    """
    stream = io.BytesIO()
    image.save(stream, 'JPEG', quality=85, subsampling=0)
    return stream.getvalue()


def _image(image: PageImage, none: str) -> Iterator[str]:
    legend = ''.join(_entry(color, f'{name} {amount}') for color, name, amount in image.legend)
    legend = legend or f'<span class="faint">{html.escape(none)}</span>'
    title = html.escape(image.title)
    yield f'<details><summary><img src="{_embedded(image.small)}" alt="{title}">'
    remark = f'<div class="faint">{html.escape(image.remark)}</div>'
    yield f'<div class="caption"><div>{title}</div>{remark}<div>{legend}</div></div>'
    yield f'</summary><img loading="lazy" src="{_embedded(image.large)}" alt="{title}, enlarged"></details>'


def _entry(color: tuple[int, ...], name: str) -> str:
    red, green, blue = color
    return f'<span class="entry"><i style="background: rgb({red}, {green}, {blue})"></i>{html.escape(name)}</span>'


def _embedded(content: bytes) -> str:
    return f'data:image/jpeg;base64,{base64.b64encode(content).decode()}'
