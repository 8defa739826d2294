"""The report on a dataset, as a page with pictures of what is wrong."""

import base64
import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageFile

from convnext_dense.config.data.datasets import make_palette
from convnext_dense.datasets.checker.findings import DataFinding, DataReport
from convnext_dense.datasets.checker.kinds import KINDS
from convnext_dense.datasets.images.picture import picture
from convnext_dense.reports.data_report import split_facts, summary
from convnext_dense.reports.page import html_facts, html_page

# How many pictures and how many lines of a kind are shown, and how many pictures in all.
PICTURES, LINES, ALL_PICTURES = 6, 30, 150
# A picture's longer side, the shortest side of what it shows, and what it shows beyond a box outside, in pixels.
SIDE, SMALLEST_VIEW, MARGIN = 360, 96, 6
# How much of what is around an object is shown, in parts of the object's size.
AROUND = 1.0
# So many sides of its image away, at most, a box is shown.
FARTHEST, FARTHEST_POINT = 4, 1e6
RED, BLUE, GRAY, DARK = (230, 40, 40), (40, 150, 255), 200, (70, 70, 70)
# How much of a finding's details is below its picture.
SHOWN_CHARACTERS = 110
STYLE = """
.kind { margin-top: 2rem; border-top: 1px solid var(--line) }
.kind h2 { font-size: 1.05rem; margin-bottom: .2rem; overflow-wrap: anywhere }
.level { color: #fff; border-radius: .3rem; padding: .1rem .45rem; font-size: .8rem; margin-right: .4rem }
.error .level { background: #b3261e } .warning .level { background: #8a5a00 } .note .level { background: #4a5568 }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); gap: 1rem }
figure { margin: 0 } figure img { max-width: 100%; background: var(--soft) }
figcaption, .kind li { font-size: .85rem; overflow-wrap: anywhere }
nav ul { list-style: none; padding: 0 } nav li { margin: .35rem 0 }
"""


def data_page(report: DataReport) -> str:
    """Return the report on a dataset as a self-contained page.

    Args:
        report: The report.

    Example:
        >>> 'Nothing wrong was found.' in data_page(DataReport('pets'))
        True
    """
    facts = {name: '; '.join(split_facts(facts)) for name, facts in report.splits.items()}
    if report.remarks:
        facts['chosen'] = ' '.join(report.remarks)
    links = ''.join(
        f'<li class="{level}"><span class="level">{level}</span>'
        f'<a href="#{level}-{kind}">{html.escape(KINDS[kind].title)}</a>: {len(findings)}</li>'
        for level, kind, findings in report.groups
    )
    left = ALL_PICTURES
    sections = []
    for level, kind, findings in report.groups:
        figures = list(_figures(findings, min(PICTURES, left)))
        left -= len(figures)
        sections.append(_section(level, kind, findings, figures))
    return html_page(
        f'Data: {report.place}',
        f'<p><b>{summary(report)}</b></p>',
        html_facts(facts),
        f'<nav><ul>{links}</ul></nav>' if links else '',
        *sections,
        style=STYLE,
    )


def _section(level: str, kind: str, findings: Sequence[DataFinding], figures: Sequence[str]) -> str:
    about = KINDS[kind]
    lines = ''.join(f'<li>{html.escape(finding.sentence)}</li>' for finding in findings[:LINES])
    more = f'<li>and {len(findings) - LINES} more</li>' if len(findings) > LINES else ''
    mended = '; --fix does it' if about.is_mended else ''
    return (
        f'<section class="kind {level}" id="{level}-{kind}">'
        f'<h2><span class="level">{level}</span>{html.escape(about.title)}: {len(findings)}</h2>'
        f'<p>Remedy: {html.escape(about.remedy)}{mended}. <code>{kind}</code></p>'
        + (f'<div class="pictures">{"".join(figures)}</div>' if figures else '')
        + f'<details{"" if figures else " open"}><summary>Files</summary><ul>{lines}{more}</ul></details></section>'
    )


def _figures(findings: Sequence[DataFinding], most: int) -> Iterator[str]:
    """Yield pictures of the first findings that have an image, of as many images as possible."""
    shown = [finding for finding in findings if finding.image and Path(finding.image).is_file()]
    firsts = {finding.image: finding for finding in reversed(shown)}
    chosen = list(reversed(firsts.values()))[:most]
    for finding in [*chosen, *(finding for finding in shown if finding not in chosen)][:most]:
        data = base64.b64encode(_encode(_draw(finding))).decode()
        name = f': {finding.noun} {finding.id!r}' if finding.noun else ''
        detail = finding.detail.replace(f'{finding.file}: ', '')
        detail = detail if len(detail) <= SHOWN_CHARACTERS else f'{detail[:SHOWN_CHARACTERS]} ...'
        file = Path(finding.image).name
        parts = [f'{finding.split}{name}', *([] if file in detail else [file]), *([detail] if detail else [])]
        caption = html.escape('; '.join(parts))
        alt = html.escape(finding.sentence, quote=True)
        yield (
            f'<figure><img src="data:image/jpeg;base64,{data}" alt="{alt}" title="{alt}">'
            f'<figcaption>{caption}</figcaption></figure>'
        )


def _draw(finding: DataFinding) -> np.ndarray:
    """Return the image with what the finding is about, as RGB."""
    image = _partly(finding.image) if finding.kind == 'image-truncated' else None
    image = picture(Path(finding.image).read_bytes()) if image is None else image
    if finding.file != finding.image and finding.kind.startswith('map-'):
        return _next_to_map(image, finding.file)
    if finding.box is None or not np.isfinite(finding.box).all() or np.abs(finding.box).max() > FARTHEST_POINT:
        return _fit(image)
    x, y, width, height = finding.box
    rows, columns = image.shape[:2]
    is_beyond = x < 0 or y < 0 or x + width > columns or y + height > rows or min(width, height) < 0
    outlines = [
        np.array(polygon, dtype=np.float64).reshape(-1, 2) for polygon in finding.polygons if _is_drawn(polygon)
    ]
    shown = np.concatenate([[[x, y], [x + width, y + height]], *outlines])
    (x0, y0), (x1, y1) = shown.min(axis=0), shown.max(axis=0)
    size = max(x1 - x0, y1 - y0)
    left, right = _view(x0, x1 - x0, columns, size, is_beyond)
    top, bottom = _view(y0, y1 - y0, rows, size, is_beyond)
    canvas = np.full((bottom - top, right - left, 3), GRAY, np.uint8)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, columns), min(bottom, rows)
    if x1 > x0 and y1 > y0:
        canvas[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    scale = SIDE / max(canvas.shape[:2])
    canvas = _fit(canvas)
    corners = np.rint((np.array([[x, y], [x + width, y + height]]) - (left, top)) * scale).astype(int)
    for points in outlines:
        cv2.polylines(canvas, [np.rint((points - (left, top)) * scale).astype(np.int32)], True, BLUE, 1, cv2.LINE_AA)
    cv2.rectangle(canvas, tuple(corners[0].tolist()), tuple(corners[1].tolist()), RED, 2)
    return canvas


def _is_drawn(polygon: Sequence[float]) -> bool:
    return len(polygon) >= 4 and not len(polygon) % 2 and bool(np.abs(polygon).max() < FARTHEST_POINT)


def _partly(file: str) -> np.ndarray | None:
    """Return what can be read of a damaged image; None if nothing can be."""
    setting: Any = ImageFile
    before, setting.LOAD_TRUNCATED_IMAGES = setting.LOAD_TRUNCATED_IMAGES, True
    try:
        with Image.open(file) as image:
            return np.array(image.convert('RGB'))
    except Exception:  # noqa: BLE001 - decoders raise anything
        return None
    finally:
        setting.LOAD_TRUNCATED_IMAGES = before


def _view(start: float, length: float, side: int, size: float, is_beyond: bool) -> tuple[int, int]:
    """Return from where to where a picture goes along a side of the image.

    Args:
        start: Where the box begins.
        length: How long it is.
        side: How long the image's side is.
        size: How large the object is, around which a part of its size is shown.
        is_beyond: Whether the box leaves the image, of which then all is shown.
    """
    low, high = sorted((start, start + length))
    if is_beyond:
        first, last = min(0, low - MARGIN), max(side, high + MARGIN)
    else:
        pad = max(AROUND * size, (SMALLEST_VIEW - size) / 2)
        first, last = max(0, low - pad), min(side, high + pad)
    # A box that is very far away is not in the picture.
    return int(max(first, -FARTHEST * side)), int(np.ceil(min(last, FARTHEST * side)))


def _next_to_map(image: np.ndarray, file: str) -> np.ndarray:
    try:
        with Image.open(file) as opened:
            labels = np.asarray(opened)
    except Exception:  # noqa: BLE001 - decoders raise anything; the file may be what is wrong
        return _fit(image)
    if labels.ndim == 3:
        colors = picture(Path(file).read_bytes())
    else:
        table = np.array([*make_palette(255), DARK], np.uint8)
        colors = table[np.clip(labels, 0, 255).astype(np.uint8)]
    parts = [_fit(image), _fit(colors)]
    canvas = np.full((max(len(part) for part in parts), sum(part.shape[1] for part in parts) + 8, 3), 255, np.uint8)
    canvas[: len(parts[0]), : parts[0].shape[1]] = parts[0]
    canvas[: len(parts[1]), -parts[1].shape[1] :] = parts[1]
    return _fit(canvas)


def _fit(image: np.ndarray) -> np.ndarray:
    """Return a picture whose longer side is as long as all pictures'."""
    rows, columns = image.shape[:2]
    scale = SIDE / max(rows, columns)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)


def _encode(image: np.ndarray) -> bytes:
    return cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
