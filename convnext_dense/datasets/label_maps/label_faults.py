"""Says what is wrong with a label map."""

import numpy as np
from PIL import Image

from convnext_dense.datasets.images.orientation import SIDEWAYS, orientation
from convnext_dense.datasets.label_maps.label_rules import LARGEST, LabelRules, shown
from convnext_dense.regular_files import refuse_special
from convnext_dense.wording import counted


def layout_fault(decoded: np.ndarray) -> str | None:
    """Return what is wrong with a decoded file that should be a label map; None if nothing is.

    Args:
        decoded: What the decoder returns.

    Example:
        >>> layout_fault(np.zeros((8, 8, 3), np.uint8))
        "it has 3 channels; a label map has one, with the number of a pixel's class"
        >>> layout_fault(np.full((8, 8), 300, np.uint16))
        'it has 16 bits and the value 300; a label map has 8 bits, and the loader would make 44 of it'
    """
    channels = decoded.shape[2] if decoded.ndim > 2 else 1
    if channels > 1:
        return f"it has {counted(channels, 'channel')}; a label map has one, with the number of a pixel's class"
    if decoded.dtype in (np.uint8, np.bool_):
        return None
    values = np.unique(decoded)
    cut = values[(values < 0) | (values > LARGEST) | (values != np.floor(values))]
    if not len(cut):
        return None
    bits = 16 if values.max() < 2**16 else 8 * decoded.dtype.itemsize
    value = f'the value{"s" if len(cut) > 1 else ""} {shown(cut.tolist())}'
    made = shown(cut[:1].astype(np.int64).astype(np.uint8).tolist())
    return f'it has {bits} bits and {value}; a label map has 8 bits, and the loader would make {made} of {_which(cut)}'


def _which(cut: np.ndarray) -> str:
    return 'it' if len(cut) == 1 else f'{cut[0]:g}'


def as_bytes(decoded: np.ndarray) -> np.ndarray:
    """Return a decoded map as 8 bits with shape (height, width)."""
    label_map = decoded[..., 0] if decoded.ndim > 2 else decoded
    return np.ascontiguousarray(label_map, dtype=np.uint8)


def value_fault(values: list[int], rules: LabelRules) -> str:
    """Return the part of a sentence that names the values that are no classes.

    Args:
        values: All values of a map.
        rules: What they mean.

    Example:
        >>> value_fault([0, 1, 7], LabelRules(num_classes=3))
        'it has the value 7; with 3 classes and reduce_zero_label=False, 0 to 2 are classes, and 255 is ignored'
    """
    beyond = rules.beyond(values)
    return f'it has the value{"s" if len(beyond) > 1 else ""} {shown(beyond)}; {rules.meaning}'


def value_hint(values: list[int], rules: LabelRules, is_jpeg: bool = False) -> str:
    """Return what may be the reason for values that are no classes, as the end of a sentence; '' if none is known.

    Args:
        values: All values of a map.
        rules: What they mean.
        is_jpeg: Whether the map is a JPEG.

    Example:
        >>> value_hint([0, 255], LabelRules(num_classes=1))
        '; write 1 for the class'
    """
    if is_jpeg:
        return '; a JPEG changes values, use PNG'
    if not rules.reduce_zero_label and min(values) >= 1 and max(set(values) - {LARGEST}) == rules.num_classes:
        return '; if they count from 1, set reduce_zero_label=True in the dataset and in LoadAnnotations'
    return '; write 1 for the class' if set(values) <= {0, LARGEST} else ''


def other_size(image: str, file: str, shape: tuple[int, int]) -> str | None:
    """Return the sentence on a map of another size than its image; None if the sizes agree.

    Args:
        image: The image.
        file: The map.
        shape: The map's height and width.
    """
    try:
        refuse_special(image)
        with Image.open(image) as opened:
            stored = opened.size[::-1]
    except Exception:  # noqa: BLE001 - decoders raise anything; what reads the images says it
        return None
    is_turned = orientation(image) in SIDEWAYS
    # A map in either orientation is right: the loader turns one with its image.
    if shape == stored or (is_turned and shape == stored[::-1]):
        return None
    return map_size_fault(file, shape, stored[::-1] if is_turned else stored)


def map_size_fault(file: str, found: tuple[int, int], image: tuple[int, int]) -> str:
    """Return the sentence on a map of another size than its image.

    Args:
        file: The map.
        found: Its height and width.
        image: The image's height and width.

    Example:
        >>> map_size_fault('1.png', (64, 96), (72, 96))
        '1.png: the label map is 96x64 px (width x height) and its image 96x72 px; they must have the same size.'
    """
    return (
        f'{file}: the label map is {found[1]}x{found[0]} px (width x height) and its image {image[1]}x{image[0]} px; '
        'they must have the same size.'
    )
