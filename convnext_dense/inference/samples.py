"""Results out of mmdet's and mmseg's data samples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

from convnext_dense.results.image_input import ImageInput
from convnext_dense.results.result import Result


def result_of(
    sample: BaseDataElement, image: ImageInput, classes: Sequence[str], colors: Sequence[tuple[int, ...]]
) -> Result:
    """Return the result that a data sample holds.

    Args:
        sample: mmdet's or mmseg's data sample of a test.
        image: The image that it is of.
        classes: The names of the model's classes.
        colors: A color for each class.
    """
    parts: dict[str, Any] = {}
    if (found := sample.get('pred_instances')) is not None:
        boxes = found.bboxes
        parts['boxes'] = getattr(boxes, 'tensor', boxes).cpu().numpy()
        parts['labels'], parts['scores'] = found.labels.cpu().numpy(), found.scores.cpu().numpy()
        if 'masks' in found:
            parts['masks'] = np.asarray(found.masks.cpu() if hasattr(found.masks, 'cpu') else found.masks, bool)
    for key, name in (('pred_sem_seg', 'semantic'), ('pred_panoptic_seg', 'panoptic')):
        if (found := sample.get(key)) is not None:
            # mmseg's name of it, and mmdet's.
            values = found.get('data', found.get('sem_seg'))
            values = values.cpu().numpy() if hasattr(values, 'cpu') else np.asarray(values)
            parts[name] = values.reshape(values.shape[-2:])
    return Result(image, tuple(sample.ori_shape[:2]), classes, colors, **parts)
