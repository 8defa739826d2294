"""A test pipeline's transforms as the steps that a runtime repeats."""

from collections.abc import Iterator, Sequence
from typing import Any

from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError

# They change no pixel.
PACKING = ('PackDetInputs', 'PackSegInputs')


def runtime_steps(transforms: Sequence[dict]) -> list[dict[str, Any]]:
    """Return what a runtime does to an image before the graph.

    Args:
        transforms: The test pipeline, without those that load annotations.

    Raises:
        UsageError: If a transform has no form without OpenMMLab.

    Example:
        >>> runtime_steps([dict(type='LoadImageFromFile'), dict(type='Resize', scale=(640, 480), keep_ratio=True)])
        [{'type': 'resize', 'size': [640, 480], 'keep_ratio': True, 'interpolation': 'bilinear'}]
    """
    return [step for transform in transforms for step in _steps(transform, bare_type(transform['type']))]


def _steps(transform: dict, kind: str) -> Iterator[dict[str, Any]]:
    if kind in PACKING:
        return
    if kind == 'LoadImageFromFile':
        if (color := transform.get('color_type', 'color')) != 'color':
            raise _unknown(f'LoadImageFromFile with color_type={color!r}')
    elif kind == 'Resize':
        if transform.get('backend', 'cv2') != 'cv2':
            raise _unknown(f'Resize with backend={transform["backend"]!r}')
        keeps, interpolation = bool(transform.get('keep_ratio')), transform.get('interpolation', 'bilinear')
        if factor := transform.get('scale_factor'):
            pair = list(factor) if isinstance(factor, tuple | list) else [factor, factor]
            yield dict(type='resize', factor=pair, keep_ratio=keeps, interpolation=interpolation)
        else:
            scale = transform['scale']
            pair = list(scale) if isinstance(scale, tuple | list) else [scale, scale]
            yield dict(type='resize', size=pair, keep_ratio=keeps, interpolation=interpolation)
    elif kind == 'Pad':
        yield _pad(transform)
    else:
        raise _unknown(kind)


def _pad(transform: dict) -> dict[str, Any]:
    value = transform.get('pad_val', 0)
    value = value.get('img', 0) if isinstance(value, dict) else value
    values = list(value) if isinstance(value, tuple | list) else [value] * 3
    if transform.get('pad_to_square') or transform.get('padding_mode', 'constant') != 'constant':
        raise _unknown('Pad with pad_to_square or a padding_mode')
    if size := transform.get('size'):
        return dict(type='pad', size=list(size), value=values)
    return dict(type='pad', divisor=transform['size_divisor'], value=values)


def _unknown(what: str) -> UsageError:
    return UsageError(
        f'export: the test pipeline has {what}, which runs with OpenMMLab only; a pipeline of LoadImageFromFile, '
        'Resize and Pad can be exported.'
    )
