"""Renders the images of the demo dataset: overlapping colored shapes on textured, noisy backgrounds."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

CLASSES = ('circle', 'square', 'triangle', 'star')

# The classes' typical hues are a quarter turn apart, in degrees. One shape in twenty is nearer to another class's hue.
HUE_STEP, HUE_DEVIATION = 90, 23

# A shape of which less than this part of its area is visible becomes an ignored area.
MIN_VISIBLE = 0.35
# Values of the semantic map; the classes follow in their order.
IGNORED, BACKGROUND = 0, 1
# Draw shapes at this many times the image's size and reduce them, so that edges are smooth and masks exact.
SUPERSAMPLING = 4


@dataclass
class Scene:
    """An image and its annotations.

    Args:
        image: (H, W, 3) uint8, BGR.
        masks: The visible part of each shape, an (H, W) bool array. No two overlap.
        labels: The index into `CLASSES` of each shape.
        semantic_map: (H, W) uint8: `IGNORED`, `BACKGROUND`, and 2 + the index into `CLASSES`.
    """

    image: np.ndarray
    masks: list[np.ndarray]
    labels: list[int]
    semantic_map: np.ndarray


def render_scene(rng: Generator, size: int) -> Scene:
    """Render an image of 2 to 7 shapes, which are a seventh to a half as wide as the image.

    Args:
        rng: The source of every random choice.
        size: Height and width of the image in pixels.

    Example:
        >>> import numpy as np
        >>> scene = render_scene(np.random.default_rng(0), 128)
        >>> scene.image.shape, len(scene.masks) == len(scene.labels)
        ((128, 128, 3), True)
    """
    image = _background(rng, size).astype(np.float32)
    masks: list[np.ndarray] = []
    labels: list[int] = []
    whole_areas: list[int] = []
    for _ in range(rng.integers(2, 8)):
        label = int(rng.integers(len(CLASSES)))
        coverage = _shape_coverage(rng, CLASSES[label], size)
        mask = coverage > 0.5
        fill = _shape_texture(rng, image, mask, label)
        image = image + coverage[..., None] * (fill - image)
        masks = [*(earlier & ~mask for earlier in masks), mask]
        labels.append(label)
        whole_areas.append(int(mask.sum()))
    image += rng.normal(0, rng.uniform(2, 10), image.shape)
    scene = Scene(image.clip(0, 255).astype(np.uint8), [], [], np.full((size, size), BACKGROUND, np.uint8))
    for mask, label, whole_area in zip(masks, labels, whole_areas, strict=True):
        if mask.any() and mask.sum() >= MIN_VISIBLE * whole_area:
            scene.masks.append(mask)
            scene.labels.append(label)
            scene.semantic_map[mask] = label + 2
        else:
            scene.semantic_map[mask] = IGNORED
    return scene


def _background(rng: Generator, size: int) -> np.ndarray:
    """Blend two colors by smooth noise of a random grain; half of the images also get stripes."""
    cells = int(rng.integers(2, 12))
    blend = cv2.resize(rng.random((cells, cells)), (size, size), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.5:
        y, x = np.mgrid[:size, :size]
        angle, period = rng.uniform(0, np.pi), rng.uniform(6, 30)
        blend = blend + 0.3 * np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    first = rng.uniform(0, 255, 3)
    second = first + rng.uniform(-70, 70, 3)
    return first + blend[..., None] * (second - first)


def _shape_coverage(rng: Generator, name: str, size: int) -> np.ndarray:
    """Return how much of each pixel, from 0 to 1, a shape of random place, size and rotation covers, (size, size)."""
    radius = size * np.exp(rng.uniform(np.log(1 / 14), np.log(1 / 4)))
    center = rng.uniform(radius * 0.6, size - radius * 0.6, 2)
    points = center + radius * _unit_outline(name) @ _rotation(rng.uniform(0, 2 * np.pi))
    canvas = np.zeros((size * SUPERSAMPLING,) * 2, np.uint8)
    cv2.fillPoly(canvas, [np.rint(points * SUPERSAMPLING).astype(np.int32)], 255)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _unit_outline(name: str) -> np.ndarray:
    corners = {'circle': 48, 'square': 4, 'triangle': 3, 'star': 10}[name]
    angles = np.arange(corners) * 2 * np.pi / corners
    radii = np.where(np.arange(corners) % 2, 0.45, 1) if name == 'star' else np.ones(corners)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _shape_texture(rng: Generator, image: np.ndarray, mask: np.ndarray, label: int) -> np.ndarray:
    """Return a color of the class that contrasts with what the shape covers, shaded along a random direction."""
    behind = image[mask].mean(axis=0) if mask.any() else image.mean(axis=(0, 1))
    colors = _colors(rng, label, 16)
    # Take the first of 16 colors that differs by over 90 levels from what is behind, or else the one that differs most.
    distance = np.linalg.norm(colors - behind, axis=1)
    color = colors[np.argmax(distance > 90) if (distance > 90).any() else distance.argmax()]
    y, x = np.mgrid[: len(mask), : len(mask)] / len(mask) - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    shade = (x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(0, 80)
    return color + shade[..., None]


def _colors(rng: Generator, label: int, count: int) -> np.ndarray:
    """Return (count, 3) BGR colors of a class, 0 to 255."""
    hue = rng.normal(label * HUE_STEP, HUE_DEVIATION, count) % 360
    saturation, value = rng.uniform(0.3, 1, count), rng.uniform(0.3, 1, count)
    hsv = np.stack([hue, saturation, value], axis=1).astype(np.float32)
    return cv2.cvtColor(hsv[None], cv2.COLOR_HSV2BGR)[0].astype(np.float64) * 255
