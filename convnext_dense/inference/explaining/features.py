"""Draws the feature maps of backbones next to the image that they are of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image
from torch import Tensor
from torch.nn import functional

from convnext_dense.analysis.principal_colors import PrincipalColors
from convnext_dense.datasets.images.picture import COLORS, as_picture
from convnext_dense.inference.explaining.fed_backbone import FedBackbone
from convnext_dense.results.image_input import ImageInput
from convnext_dense.visualization.fed_image import resize
from convnext_dense.visualization.sheet import PAPER, TILE, make_sheet, make_tile
from convnext_dense.wording import counted


@dataclass(frozen=True)
class Stage:
    """A stage that a backbone gives a map of.

    Args:
        number: Its number, from 1, among the maps.
        stride: Its stride in pixels.
        channels: Its channels.
    """

    number: int
    stride: int
    channels: int

    def __str__(self) -> str:
        return f'stage {self.number}, stride {self.stride}'

    def cells(self) -> list[str]:
        """Return its number, stride and channels as texts."""
        return [str(self.number), str(self.stride), str(self.channels)]


def stages_of(maps: Sequence[Tensor], size: Sequence[int]) -> list[Stage]:
    """Return the stages of a backbone's maps.

    Args:
        maps: The maps, whose shape ends in channels, height and width.
        size: Height and width of the image in pixels.

    Example:
        >>> import torch
        >>> str(stages_of([torch.zeros(96, 16, 24)], (64, 96))[0])
        'stage 1, stride 4'
    """
    return [Stage(i, round(size[1] / x.shape[-1]), x.shape[-3]) for i, x in enumerate(maps, 1)]


def _stages_for(backbone: FedBackbone, pixels: Tensor) -> list[Stage]:
    """Return the stages by the maps of a padded image: those of a smaller one are cut, and would hide the stride."""
    height, width = backbone.normalize(pixels).shape[-2:]
    padded = functional.pad(pixels, (0, width - pixels.shape[-1], 0, height - pixels.shape[-2]))
    return stages_of(backbone.maps(padded), (height, width))


class FeatureSheets:
    """Draws the feature maps of backbones in their principal components, which all images have in common.

    Args:
        backbones: The backbones. All are fed what the first one's pipeline makes of an image.
        images: The images. Each is read and run twice, so that memory stays flat.

    Attributes:
        stages: The stages of each backbone.
        colors: The principal components of each stage of each backbone.

    Raises:
        UsageError: If an image cannot be read, or a backbone cannot take it.
    """

    def __init__(self, backbones: Sequence[FedBackbone], images: Sequence[ImageInput]) -> None:
        self.backbones, self.images = backbones, images
        self.stages: list[list[Stage]] = []
        self.colors: list[list[PrincipalColors]] = []
        for image in images:
            pixels = read(backbones[0], image)
            maps = [backbone.maps(pixels) for backbone in backbones]
            if not self.colors:
                self.stages = [_stages_for(backbone, pixels) for backbone in backbones]
                self.colors = [[PrincipalColors(stage.channels) for stage in stages] for stages in self.stages]
            for colors, parts in zip(self.colors, maps, strict=True):
                for color, part in zip(colors, parts, strict=True):
                    color.add(part)

    def draw(self) -> Iterator[tuple[ImageInput, Image.Image]]:
        """Yield each image with its sheet: a row for each backbone, which begins with the image."""
        columns = 1 + max(len(stages) for stages in self.stages)
        for image in self.images:
            pixels = read(self.backbones[0], image)
            picture = as_picture(pixels.permute(1, 2, 0).numpy(), is_bgr=len(pixels) == COLORS)
            scale = TILE / max(picture.shape[:2])
            size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
            remark = f'{picture.shape[1]}x{picture.shape[0]} px'
            tiles = []
            for backbone, stages, colors in zip(self.backbones, self.stages, self.colors, strict=True):
                shown = Image.fromarray(resize(picture, size))
                row = [make_tile(shown, backbone.name, backbone.described_weights, [], remark)]
                for stage, color, part in zip(stages, colors, backbone.maps(pixels), strict=True):
                    # Not smoothed: a pixel of the map is seen as such.
                    painted = Image.fromarray(resize(color.paint(part), size, is_smooth=False))
                    variance = f'3 components: {100 * color.explained:.0f} % of the variance'
                    row.append(make_tile(painted, str(stage), f'{counted(stage.channels, "channel")}', [], variance))
                tiles += pad_row(row, columns)
            yield image, make_sheet(f'Feature maps of {image.name}', tiles, columns)


def read(backbone: FedBackbone, image: ImageInput) -> Tensor:
    """Return the pixels of an image, with shape (channels, height, width), as a backbone's pipeline gives them.

    Args:
        backbone: The backbone.
        image: The image.

    Raises:
        UsageError: If it cannot be read.
    """
    return backbone.pipeline(image)['inputs']


def pad_row(tiles: Sequence[Image.Image], columns: int) -> list[Image.Image]:
    """Return the tiles of a row with empty ones behind them.

    Args:
        tiles: The tiles.
        columns: How many there are to be.

    Example:
        >>> len(pad_row([], 3))
        3
    """
    return [*tiles, *[Image.new('RGB', (TILE, 1), PAPER)] * (columns - len(tiles))]
