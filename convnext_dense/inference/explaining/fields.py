"""Draws the effective receptive fields of backbones next to each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import matplotlib as mpl
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from convnext_dense.analysis.receptive_field import Square, effective_fields, smallest_square
from convnext_dense.errors import RunError
from convnext_dense.inference.explaining.features import Stage, pad_row, read, stages_of
from convnext_dense.inference.explaining.fed_backbone import FedBackbone
from convnext_dense.results.image_input import ImageInput
from convnext_dense.visualization.drawing import Color
from convnext_dense.visualization.sheet import TILE, make_sheet, make_tile

# The crops of recipes on ADE20K, in pixels.
SIDE = 512
# As many as RepLKNet's authors take. Noise has the same figures from one image to the next, so fewer do.
MOST_IMAGES, NOISE_IMAGES = 50, 16
# The parts of the gradient, as in RepLKNet's table, and the colors of their squares.
PARTS: dict[float, Color] = {0.2: (255, 255, 255), 0.5: (90, 220, 255), 0.99: (120, 255, 120)}
COLORMAP = 'inferno'
# From the darkest to the brightest value.
DECADES = 3


@dataclass(frozen=True)
class Field:
    """The effective receptive field of a stage.

    Args:
        stage: The stage.
        values: The field, with shape (height, width), whose sum is 1.
        squares: The smallest square that holds each of `PARTS`.
    """

    stage: Stage
    values: np.ndarray
    squares: dict[float, Square]

    def sides(self) -> list[str]:
        """Return the sides of the squares, in pixels and as parts of the image's."""
        return [f'{square.side} px ({100 * square.side / SIDE:.0f} %)' for square in self.squares.values()]


def sample(images: Sequence[ImageInput]) -> list[ImageInput]:
    """Return at most `MOST_IMAGES` of the images, from beginning to end.

    Args:
        images: The images.

    Example:
        >>> len(sample([ImageInput(str(i)) for i in range(100)]))
        50
    """
    places = np.linspace(0, len(images) - 1, min(len(images), MOST_IMAGES)).round().astype(int)
    return [images[i] for i in places]


def fields_of(backbone: FedBackbone, reader: FedBackbone, images: Sequence[ImageInput]) -> list[Field]:
    """Return the effective receptive field of each stage of a backbone.

    Args:
        backbone: The backbone.
        reader: The one whose pipeline reads the images.
        images: The images, of which the middle is resized to `SIDE` x `SIDE` pixels. Without any, it is noise.

    Raises:
        UsageError: If an image cannot be read, or the backbone cannot take images of this size.
        RunError: If no gradient reaches the image.
    """
    with backbone.running((SIDE, SIDE)):
        values = effective_fields(backbone.network, _inputs(backbone, reader, images))
        with torch.no_grad():
            maps = backbone.network(torch.zeros(1, backbone.in_channels, SIDE, SIDE, device=backbone.device))
    fields = []
    for stage, value in zip(stages_of(maps, (SIDE, SIDE)), values, strict=True):
        if not np.isfinite(value).all():
            raise RunError(f'backbone {backbone.name}: no finite gradient of {stage} reaches the image.')
        fields.append(Field(stage, value, {part: smallest_square(value, part) for part in PARTS}))
    return fields


def draw_fields(backbones: Sequence[FedBackbone], fields: Sequence[Sequence[Field]], source: str) -> Image.Image:
    """Return a sheet with a row for each backbone, and a column for each stage.

    Args:
        backbones: The backbones.
        fields: The fields of each.
        source: What they are the mean over.
    """
    columns = max(map(len, fields))
    tiles = []
    for backbone, row in zip(backbones, fields, strict=True):
        drawn = [_tile(backbone, field) for field in row]
        tiles += pad_row(drawn, columns)
    title = f'Effective receptive fields in {SIDE}x{SIDE} px of {source}: log scale over {DECADES} decades'
    return make_sheet(title, tiles, columns)


def _inputs(backbone: FedBackbone, reader: FedBackbone, images: Sequence[ImageInput]) -> Iterator[Tensor]:
    for image in images:
        yield backbone.normalize(_middle(read(reader, image)))
    if not images:
        chance = torch.Generator().manual_seed(0)
        for _ in range(NOISE_IMAGES):
            # As images are once they are normalized.
            yield torch.randn(1, backbone.in_channels, SIDE, SIDE, generator=chance).to(backbone.device)


def _middle(pixels: Tensor) -> Tensor:
    """Return the middle of an image, as large as its shorter side, in `SIDE` x `SIDE` pixels."""
    height, width = pixels.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = pixels[None, :, top : top + side, left : left + side].float()
    resized = F.interpolate(middle, size=(SIDE, SIDE), mode='bicubic', antialias=True)[0]
    return resized.clamp(middle.min(), middle.max()).to(pixels.dtype)


def _tile(backbone: FedBackbone, field: Field) -> Image.Image:
    smaller = cv2.resize(field.values, (TILE, TILE), interpolation=cv2.INTER_AREA)
    scaled = np.log10(1 + (10**DECADES - 1) * smaller / smaller.max()) / DECADES
    drawn = Image.fromarray((255 * mpl.colormaps[COLORMAP](scaled)[..., :3]).astype(np.uint8))
    legend = []
    for (part, color), text in zip(PARTS.items(), field.sides(), strict=True):
        corners = [TILE / SIDE * edge for edge in _corners(field.squares[part])]
        ImageDraw.Draw(drawn).rectangle(corners, outline=color)
        legend.append((color, f'{100 * part:.0f} %:', text))
    return make_tile(drawn, f'{backbone.name}, {field.stage}', backbone.described_weights, legend, '')


def _corners(square: Square) -> tuple[int, int, int, int]:
    return square.left, square.top, square.left + square.side - 1, square.top + square.side - 1
