"""Draws boxes, masks, label maps and class names over an image."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from PIL import Image, ImageDraw

from convnext_dense.visualization.fed_image import IGNORED, FedImage, FedObject, resize
from convnext_dense.visualization.label_places import place_labels
from convnext_dense.visualization.legend import Color, LegendEntry, with_legend
from convnext_dense.visualization.text import text_color, text_size, write

IGNORED_COLOR: Color = (150, 150, 150)
BACKGROUND = 255
MASK_OPACITY, MAP_OPACITY, STRIPE_OPACITY = 0.35, 0.5, 0.8
# Of the stripes over what is ignored, and of the dashes around it, in pixels.
STRIPE, DASH = 5, 6
# Of a mask's part around what it has, in pixels.
RIM = 2
# A name is its font's size in pixels, and this much to its left and right.
FONT_SIZE, PADDING = 12, 3
# How many objects of a class get their name before those of other classes do.
FIRST_NAMES = 5
# How much of a picture names cover before the others get theirs. With more, it could not be read.
MOST_COVERED = 0.1


class Drawing:
    """Draws images in the colors of their classes.

    Args:
        classes: The names of the classes.
        colors: A color for each class, as RGB.
        ignored_name: What is written at an ignored object.

    Example:
        >>> image = FedImage('a.jpg', np.zeros((32, 64, 3), np.uint8), [FedObject((8, 8, 24, 24), 0)])
        >>> Drawing(['cat'], [(230, 57, 57)]).draw(image, side=256).width
        256
    """

    def __init__(self, classes: Sequence[str], colors: Sequence[Color], ignored_name: str = 'ignored') -> None:
        self.classes, self.colors, self.ignored_name = classes, colors, ignored_name

    def draw(self, image: FedImage, side: int, has_legend: bool = False) -> Image.Image:
        """Return an image with all that it has drawn over it, and room for names above and below.

        Args:
            image: The image.
            side: Its longer side in pixels, to which it is enlarged or reduced before.
            has_legend: Whether there is a legend below, if not all that is drawn has its name.
        """
        drawn, is_named = self._draw(image, side, has_margin=True)
        return with_legend(drawn, self.legend(image)) if has_legend and not is_named else drawn

    def draw_frame(self, image: FedImage, side: int) -> Image.Image:
        """Return a frame of a video with all that it has drawn over it, and a line of its legend below.

        Args:
            image: The frame.
            side: Its longer side in pixels, to which it is enlarged or reduced before.
        """
        return with_legend(self._draw(image, side, has_margin=False)[0], self.legend(image), only_line=True)

    def _draw(self, image: FedImage, side: int, has_margin: bool) -> tuple[Image.Image, bool]:
        """Return the drawn image, and whether all that is drawn has its name."""
        height, width = image.picture.shape[:2]
        scale = side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        canvas = resize(image.picture, size)
        if image.label_map is not None:
            self._paint_map(canvas, resize(image.label_map.astype(np.int32), size, is_smooth=False))
        # Large ones first, so that none is hidden.
        objects = sorted(image.objects, key=_area, reverse=True)
        for part in objects:
            self._paint_object(canvas, part, scale)
        margin = _name_size('')[1] + 1 if objects and has_margin else 0
        canvas = np.pad(canvas, ((margin, margin), (0, 0), (0, 0)), constant_values=BACKGROUND)
        boxes = [scale * np.array(part.box) + [0, margin, 0, margin] for part in objects]
        for part, box in zip(objects, boxes, strict=True):
            _draw_box(canvas, box, self.color(part), 1 if part.mask is not None else 2, part.is_ignored)
        drawn = Image.fromarray(canvas)
        are_named = self._write_names(drawn, objects, boxes)
        return drawn, are_named and image.label_map is None

    def color(self, part: FedObject) -> Color:
        """Return the color of an object."""
        return IGNORED_COLOR if part.is_ignored else self.class_color(part.label)

    def class_color(self, label: int) -> Color:
        """Return the color of a class."""
        return self.colors[label] if 0 <= label < len(self.colors) else IGNORED_COLOR

    def class_name(self, label: int) -> str:
        """Return the name of a class."""
        return self.classes[label] if 0 <= label < len(self.classes) else f'class {label}'

    def name(self, part: FedObject) -> str:
        """Return what is written at an object."""
        name = self.class_name(part.label)
        return f'{name}, {self.ignored_name}' if part.is_ignored else name

    def legend(self, image: FedImage) -> list[LegendEntry]:
        """Return the classes that an image shows, the most frequent first."""
        found: list[LegendEntry] = []
        if image.label_map is not None:
            labels, counts = np.unique(image.label_map, return_counts=True)
            for label, count in sorted(zip(labels.tolist(), counts.tolist(), strict=True), key=lambda pair: -pair[1]):
                share = f'{max(round(100 * count / image.label_map.size), 1)} %'
                if label == IGNORED:
                    found.append((IGNORED_COLOR, 'ignored', share))
                else:
                    found.append((self.class_color(label), self.class_name(label), share))
        counted = Counter((self.color(part), self.name(part)) for part in image.objects)
        return [*found, *((color, name, str(count)) for (color, name), count in counted.most_common())]

    def _paint_map(self, canvas: np.ndarray, label_map: np.ndarray) -> None:
        is_edge = np.zeros(label_map.shape, bool)
        is_edge[:-1] |= label_map[:-1] != label_map[1:]
        is_edge[:, :-1] |= label_map[:, :-1] != label_map[:, 1:]
        # One color for each label, of which the first is what is ignored.
        colors = [IGNORED_COLOR, *(self.class_color(label) for label in range(label_map.max(initial=0) + 1))]
        painted = np.array(colors, np.uint8)[label_map - IGNORED]
        blended = cv2.addWeighted(canvas, 1 - MAP_OPACITY, painted, MAP_OPACITY, 0)
        blended[is_edge] = painted[is_edge]
        is_ignored = label_map == IGNORED
        np.copyto(canvas, blended, where=~is_ignored[..., None])
        if is_ignored.any():
            _blend(canvas, is_ignored & _stripes(is_ignored.shape), IGNORED_COLOR, STRIPE_OPACITY)

    def _paint_object(self, canvas: np.ndarray, part: FedObject, scale: float) -> None:
        left, top, where = _region(part, canvas.shape[:2], scale)
        # A part of the canvas, not a copy of it.
        canvas = canvas[top : top + where.shape[0], left : left + where.shape[1]]
        if part.is_ignored:
            _blend(canvas, where & _stripes(where.shape, left + top), IGNORED_COLOR, STRIPE_OPACITY)
        elif part.mask is not None:
            _blend(canvas, where, self.color(part), MASK_OPACITY)
            outlines, _ = cv2.findContours(where.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            # OpenCV draws into no part of an array.
            drawn = np.ascontiguousarray(canvas)
            cv2.drawContours(drawn, outlines, -1, self.color(part), 1, cv2.LINE_AA)
            canvas[:] = drawn

    def _write_names(self, drawn: Image.Image, objects: Sequence[FedObject], boxes: Sequence[np.ndarray]) -> bool:
        """Write names at objects, and return whether each has its own. Colors say what the others are."""
        names = [self.name(part) for part in objects]
        counts, ranks = Counter(names), [names[:i].count(name) for i, name in enumerate(names)]
        # Rare classes first, then the largest of the others.
        waiting = sorted(range(len(names)), key=lambda i: counts[names[i]] if ranks[i] < FIRST_NAMES else len(names))
        full = [f'{name} {part.note}'.strip() for name, part in zip(names, objects, strict=True)]
        taken: list[tuple[float, ...]] = []
        room = MOST_COVERED * drawn.width * drawn.height
        for texts in (full, names):
            sizes = [_name_size(texts[i]) for i in waiting]
            order = [*waiting, *sorted(set(range(len(names))) - set(waiting))]
            places = place_labels([boxes[i] for i in order], sizes, drawn.size, taken)
            named = set()
            for i, (width, height), place in zip(waiting, sizes, places, strict=True):
                if place is None or (ranks[i] >= FIRST_NAMES and width * height > room):
                    continue
                color = self.color(objects[i])
                x, y = round(place[0]), round(place[1])
                ImageDraw.Draw(drawn).rectangle((x, y, x + width - 1, y + height - 1), color)
                write(drawn, (x + PADDING, y), texts[i], FONT_SIZE, text_color(color))
                taken.append((x, y, x + width, y + height))
                named.add(i)
                room -= width * height
            waiting = [i for i in waiting if i not in named]
        return not waiting


def _area(part: FedObject) -> float:
    left, top, right, bottom = part.box
    return (right - left) * (bottom - top)


def _name_size(name: str) -> tuple[int, int]:
    width, height = text_size(name, FONT_SIZE)
    return width + 2 * PADDING, height


def _region(part: FedObject, shape: tuple[int, int], scale: float) -> tuple[int, int, np.ndarray]:
    """Return where an object is on a canvas, in its mask or else in its box: a part of it, and its left and top."""
    if part.mask is None:
        left, top, right, bottom = (max(0, round(scale * edge)) for edge in part.box)
        right, bottom = min(right, shape[1]), min(bottom, shape[0])
        return left, top, np.ones((max(bottom - top, 0), max(right - left, 0)), bool)
    rows, columns = np.flatnonzero(part.mask.any(1)), np.flatnonzero(part.mask.any(0))
    if not len(rows):
        return 0, 0, np.zeros((0, 0), bool)
    # With a rim, so that its edge is as smooth as inside of the whole mask.
    filled = np.pad(part.mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], RIM).astype(np.float32)
    x, y = part.place[0] + int(columns[0]) - RIM, part.place[1] + int(rows[0]) - RIM
    left, top = round(scale * x), round(scale * y)
    right, bottom = round(scale * (x + filled.shape[1])), round(scale * (y + filled.shape[0]))
    where = resize(filled, (max(right - left, 1), max(bottom - top, 1))) > 0.5
    where = where[max(-top, 0) : max(shape[0] - top, 0), max(-left, 0) : max(shape[1] - left, 0)]
    return max(left, 0), max(top, 0), where


def _blend(canvas: np.ndarray, where: np.ndarray, color: Color, opacity: float) -> None:
    canvas[where] = ((1 - opacity) * canvas[where] + opacity * np.array(color)).astype(np.uint8)


def _stripes(shape: tuple[int, int], offset: int = 0) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows + columns + offset) // STRIPE % 2 == 0


def _draw_box(canvas: np.ndarray, box: np.ndarray, color: Color, thickness: int, is_dashed: bool) -> None:
    left, top, right, bottom = box.round().astype(int).tolist()
    right, bottom = max(left, right - 1), max(top, bottom - 1)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    for start, end in pairwise(corners):
        for first, last in _dashes(start, end) if is_dashed else [(start, end)]:
            cv2.line(canvas, first, last, color, thickness)


def _dashes(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    length = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    places = np.linspace(start, end, max(length // DASH, 1) + 1).round().astype(int)
    pairs = [(tuple(a), tuple(b)) for a, b in zip(places[:-1].tolist(), places[1:].tolist(), strict=True)]
    return pairs[::2]
