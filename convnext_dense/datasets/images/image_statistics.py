"""What kind of images a dataset has, and the mean and deviation of their channels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from convnext_dense.datasets.channels import COLORS
from convnext_dense.datasets.images.tiff import decode_many_channels
from convnext_dense.regular_files import read_bytes
from convnext_dense.wording import counted

# How many images are looked at, and how many of an image's pixels are counted at most.
KIND_SAMPLES, STATISTIC_SAMPLES = 16, 64
MOST_PIXELS = 2**20
# A fourth channel of which so much is 0 or the largest value is a mask of transparency.
MASK_SHARE = 0.5
BITS = {'uint8': 8, 'uint16': 16, 'int16': 16, 'int32': 32, 'uint32': 32, 'float32': 32, 'float64': 64}


@dataclass(frozen=True)
class ImageKind:
    """How images are stored.

    Args:
        channels: How many channels they have, without a mask of transparency if they are of 8 bits.
        bits: How many bits a value has.
        example: One of them.
        stored: How many channels they have with it.
        by_tifffile: Whether they have more channels than OpenCV reads.

    Example:
        >>> str(ImageKind(1, 16, 'a.png'))
        '1 channel of 16 bits'
    """

    channels: int
    bits: int
    example: str
    stored: int = 0
    by_tifffile: bool = False

    def __str__(self) -> str:
        return f'{counted(self.channels, "channel")} of {self.bits} bits'


def find_kinds(files: Sequence[str]) -> list[ImageKind]:
    """Return the kinds of a sample of images, each once. Files that cannot be read have none.

    Args:
        files: The images.

    Example:
        >>> find_kinds(['no-such.png'])
        []
    """
    kinds: dict[tuple[int, int], ImageKind] = {}
    for file, image, by_tifffile in _read(files, KIND_SAMPLES, cv2.IMREAD_UNCHANGED):
        channels = stored = image.shape[2] if image.ndim > 2 else 1
        bits = BITS.get(image.dtype.name, 8)
        if channels == COLORS + 1 and bits == 8 and np.isin(image[..., COLORS], (0, 255)).mean() >= MASK_SHARE:
            channels = COLORS
        kinds.setdefault((channels, bits), ImageKind(channels, bits, file, stored, by_tifffile))
    return list(kinds.values())


@dataclass(frozen=True)
class ChannelStatistics:
    """The mean and the standard deviation of each channel over all pixels, in the order of the files.

    Args:
        mean: A value for each channel.
        std: Likewise; 1 for a channel that is the same everywhere.
        count: Of how many images.
    """

    mean: list[float]
    std: list[float]
    count: int


def channel_statistics(files: Sequence[str], is_gray: bool) -> ChannelStatistics | None:
    """Return the statistics of a sample that is spread over some images; None if none can be read.

    Args:
        files: The images. Those with another number of channels than the first are left out.
        is_gray: Whether they are read as gray of 8 bits; otherwise as they are stored.

    Example:
        >>> channel_statistics(['no-such.png'], is_gray=False) is None
        True
    """
    counts, sums, squares = [], [], []
    for _, image, _ in _read(files, STATISTIC_SAMPLES, cv2.IMREAD_GRAYSCALE if is_gray else cv2.IMREAD_UNCHANGED):
        pixels = image.reshape(image.shape[0] * image.shape[1], -1)
        pixels = pixels[:: -(-len(pixels) // MOST_PIXELS)].astype(np.float64)
        if not np.isfinite(pixels).all() or (sums and pixels.shape[1] != len(sums[0])):
            continue
        counts.append(len(pixels))
        sums.append(pixels.sum(0))
        squares.append((pixels**2).sum(0))
    if not counts:
        return None
    mean = np.sum(sums, 0) / sum(counts)
    deviation = np.sqrt(np.maximum(np.sum(squares, 0) / sum(counts) - mean**2, 0))
    deviation[deviation < 1e-6 * np.maximum(np.abs(mean), 1)] = 1
    return ChannelStatistics(_rounded(mean), _rounded(deviation), len(counts))


def _read(files: Sequence[str], count: int, flag: int) -> Iterator[tuple[str, np.ndarray, bool]]:
    """Yield some images that are spread evenly over all, as far as they can be read, and whether by tifffile."""
    for i in np.unique(np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int)):
        try:
            content = read_bytes(files[i])
            image = decode_many_channels(content)
            is_other = image is not None
            if image is None and content:
                image = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
        except (OSError, cv2.error):
            continue
        if image is not None and image.size:
            yield files[i], image, is_other


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f'{value:.5g}') for value in values]
