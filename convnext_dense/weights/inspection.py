"""Describes a checkpoint, and what of it would load."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.registry import MODELS
from torch import Tensor

from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import UsageError
from convnext_dense.weights.conversion import to_official
from convnext_dense.weights.export import model_tensors, other_tensors
from convnext_dense.weights.matching import describe_diverged, locate, match, printable, shorten
from convnext_dense.weights.published import PUBLISHED
from convnext_dense.weights.recognize import BACKBONE, flatten, infer_size
from convnext_dense.weights.storage.checksums import verify_checksums
from convnext_dense.weights.storage.files import DISTILLATION
from convnext_dense.weights.storage.sources import read_weights
from convnext_dense.wording import counted


class Inspection(NamedTuple):
    """A description of a checkpoint, and why it would not load; None if it would."""

    text: str
    problem: str | None


def inspect_checkpoint(source: str, model: dict | None = None) -> Inspection:
    """Describe a checkpoint: its layout, architecture, size and precision, and what would load.

    Args:
        source: As in `read_weights`.
        model: The config of a whole model to load it into; mmengine's default scope must be the model's. Defaults to a
            backbone of the weights' own size.

    Raises:
        CheckpointError: If it cannot be read or holds no ConvNeXt.
        UsageError: If the model's backbone is not this package's ConvNeXt.

    Example:
        >>> print(inspect_checkpoint('convnext_tiny_in1k').text)  # doctest: +SKIP
    """
    checkpoint = read_weights(source)
    verify_checksums(source)
    tensors = flatten(checkpoint)
    detected = locate(tensors, source)
    weights = to_official(tensors, detected).weights
    config = infer_size(weights).backbone_cfg()
    _, report = match(tensors, _build_on_meta((model or {}).get('backbone', None if model else config)), source)
    count = sum(tensor.numel() for tensor in weights.values())
    size = f'{Path(source).stat().st_size / 1e6:.1f} MB, ' if Path(source).is_file() else ''
    problem = describe_diverged(model_tensors(tensors, detected), source) if report.fits else report.problem()
    keys = [str(key) for key, value in checkpoint.items() if not isinstance(value, Tensor)]
    values = ', '.join(f'{key}={value!r}' for key, value in config.items())
    lines = [
        f'file         '
        f'{size}{counted(len(tensors), "tensor")}{", top keys " if keys else ""}{printable(", ".join(sorted(keys)))}',
        f'backbone     {count / 1e6:.1f} M parameters in {counted(len(weights), "tensor")}',
        *_origin(checkpoint),
        f'to use it    backbone=dict({values},',
        f"                 init_cfg=dict(type='Pretrained', checkpoint={source!r}))",
        str(report),
        f'by init_cfg  {"the backbone would not load" if problem else "the backbone would load"}',
    ]
    if model:
        lines.append(f'by load_from {_describe_rest(model, other_tensors(tensors, detected))}')
    return Inspection('\n'.join(lines), problem or None)


def published_table() -> str:
    """Return the published names as a text table, each with its license and address."""
    rows = [
        ('name', 'license', 'address'),
        *((name, published.license, published.address) for name, published in PUBLISHED.items()),
    ]
    width = max(map(len, PUBLISHED))
    return '\n'.join(f'{name:<{width}}  {license:<33}  {address}' for name, license, address in rows)


def _origin(checkpoint: Mapping) -> list[str]:
    """Return a line on what a distilled backbone was trained by, if the file says it."""
    meta = checkpoint.get('meta')
    origin = meta.get(DISTILLATION) if isinstance(meta, Mapping) else None
    if not isinstance(origin, Mapping):
        return []
    return [f'distilled    {printable(", ".join(f"{key} {value}" for key, value in origin.items()))}']


def _describe_rest(config: dict, rest: Mapping[str, Tensor]) -> str:
    """Say how much of a model outside its backbone would load from `rest`."""
    state = MODELS.build(config).state_dict()
    own = {name: tensor.shape for name, tensor in state.items() if not name.startswith(BACKBONE)}
    absent = [name for name, shape in own.items() if name not in rest or rest[name].shape != shape]
    loads = f'{len(own) - len(absent)} of {len(own)} tensors of the rest of the model would load'
    return f'{loads}; testing would refuse it for lack of {shorten(absent)}' if absent else loads


def _build_on_meta(config: dict | None) -> ConvNeXt:
    config = dict(config or {'type': 'no backbone'})
    kind = str(config.pop('type', 'ConvNeXt')).split('.')[-1]
    config.pop('_scope_', None)
    if kind != 'ConvNeXt':
        raise UsageError(f'the backbone must be convnext_dense.ConvNeXt; the config has {kind}.')
    try:
        with torch.device('meta'):
            return ConvNeXt(**config)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f'the backbone of the config: {error}') from error
