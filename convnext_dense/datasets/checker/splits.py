"""What is checked: the splits of a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass

from convnext_dense.datasets.label_maps.label_rules import LabelRules


@dataclass(frozen=True)
class ObjectSplit:
    """A split with an annotation file of COCO's form.

    Args:
        name: Its name, such as 'train'.
        annotations: The annotation file.
        images: The folder that the file's names are in.
        needs_masks: Whether an object without a mask is a fault.
        color_type: How the images are loaded, as mmcv's LoadImageFromFile takes it.
        is_training: Whether a model is trained on it.
    """

    name: str
    annotations: str
    images: str
    needs_masks: bool = False
    color_type: str = 'color'
    is_training: bool = False


@dataclass(frozen=True)
class LabelSplit:
    """A split with label maps.

    Args:
        name: Its name, such as 'train'.
        pairs: The file of each image, and that of its label map.
        classes: The names of the classes.
        rules: What the values of the label maps mean.
        color_type: How the images are loaded, as mmcv's LoadImageFromFile takes it.
        is_training: Whether a model is trained on it.
        is_public: Whether it is known how the label maps count, as those of a public dataset.
    """

    name: str
    pairs: Sequence[tuple[str, str]]
    classes: tuple[str, ...]
    rules: LabelRules
    color_type: str = 'color'
    is_training: bool = False
    is_public: bool = False
