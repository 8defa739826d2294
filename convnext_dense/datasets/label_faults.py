"""Says what is wrong with a label map."""

import numpy as np

from convnext_dense.datasets.label_rules import LARGEST, LabelRules, shown


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
        return f"it has {channels} channels; a label map has one, with the number of a pixel's class"
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
