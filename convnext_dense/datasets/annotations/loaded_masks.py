"""The masks of a sample, before pycocotools draws them in C, which some crash."""

from collections.abc import Iterable, Mapping
from math import hypot

from convnext_dense.datasets.annotations.masks import FARTHEST, UNREADABLE


def mask_fault(results: Mapping) -> str | None:
    """Return what is wrong with a mask of a sample that would crash its loader; None if nothing is.

    Args:
        results: What mmdet's `LoadAnnotations` is given: `instances`, each with a `mask`, and the image's size.

    Example:
        >>> mask_fault(dict(instances=[dict(mask=[[1, 2, 3, 4, 5, float('nan')]])]))
        'object 1 of its annotations has a polygon with a coordinate that is not finite or beyond 1000000 px, which \
crashes mmdet'
        >>> mask_fault(dict(ori_shape=(4, 4), instances=[dict(mask=dict(size=[10**6, 10**6], counts='0'))]))
        'object 1 of its annotations has run lengths of another size than the image'
    """
    size = results.get('ori_shape') or (results.get('height'), results.get('width'))
    for i, instance in enumerate(results.get('instances') or [], start=1):
        mask = instance.get('mask') if isinstance(instance, Mapping) else None
        kind = ''
        if isinstance(mask, list) and not all(map(_is_near, mask)):
            kind = 'not finite'
        elif isinstance(mask, Mapping) and _is_of_other_size(mask.get('size'), size):
            kind = 'size'
        if kind:
            return f'object {i} of its annotations has {UNREADABLE[kind]}'
    return None


def _is_near(polygon: Iterable) -> bool:
    """Return whether a polygon has no coordinate that is far away; what is none is for the loader to refuse."""
    try:
        # A norm is as large as the largest coordinate, or larger.
        return hypot(*polygon) < FARTHEST or all(abs(value) < FARTHEST for value in polygon)
    except TypeError:
        return True
    except OverflowError:
        return False


def _is_of_other_size(found: object, size: tuple) -> bool:
    return None not in size and (not isinstance(found, list | tuple) or tuple(found) != tuple(size[:2]))
