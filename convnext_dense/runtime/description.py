"""What an exported file says of its model: all that its graph does not hold."""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from convnext_dense.errors import UsageError

# The key of a file's metadata.
KEY = 'convnext_dense'
# Of files that a later version cannot read.
LAYOUT = 1
DETECTION, SEGMENTATION, FEATURES = 'detection', 'segmentation', 'features'


@dataclass(frozen=True)
class Description:
    """What a file says of its model.

    Args:
        task: 'detection', 'segmentation', or 'features' for a backbone alone.
        name: What the model is called.
        classes: The names of its classes.
        colors: A color for each class, as RGB.
        steps: What happens to an image before it is the graph's input, in order: 'resize' or 'pad' as `type`, and its
            arguments as `prepare` takes them. The graph itself swaps channels and normalizes.
        shape: The height and width of the input, if it has one size only.
        batch: How many images the input has, if it is one number only.
        mask_threshold: From which probability on a pixel is the object's, if there are masks.
        masks: 'boxes' if masks are of the size of their boxes, and 'image' if of the image.
        output: 'labels' or 'scores', of a segmenter.
        layout: The version of this description.
    """

    task: str
    name: str
    classes: list[str]
    colors: list[list[int]]
    steps: list[dict[str, Any]] = field(default_factory=list)
    shape: list[int] | None = None
    batch: int | None = None
    mask_threshold: float | None = None
    masks: str = 'boxes'
    output: str = 'labels'
    layout: int = LAYOUT

    def to_json(self) -> str:
        """Return it as a text."""
        return json.dumps(asdict(self))


def read_description(text: str | None, source: str) -> Description:
    """Return the description that a file holds.

    Args:
        text: What the file's metadata has under `KEY`.
        source: The file.

    Raises:
        UsageError: If it holds none, or one of a later version.

    Example:
        >>> read_description(Description('features', 'a', [], []).to_json(), 'a.onnx').task
        'features'
    """
    try:
        values = json.loads(text or '')
    except ValueError:
        raise UsageError(f'model: {source} was not written by `convnext-dense export`.') from None
    if values.get('layout') != LAYOUT:
        raise UsageError(f'model: {source} was written by another version of convnext_dense; export the model again.')
    return Description(**{part.name: values[part.name] for part in fields(Description)})
