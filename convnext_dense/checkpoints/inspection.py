"""Says what a checkpoint is, and what of it would load."""

from pathlib import Path

import torch

from convnext_dense.backbones import ConvNeXt
from convnext_dense.checkpoints.conversion import to_official
from convnext_dense.checkpoints.detection import find, flatten, measure
from convnext_dense.checkpoints.matching import match, no_convnext
from convnext_dense.checkpoints.names import PUBLISHED
from convnext_dense.checkpoints.sources import read_weights
from convnext_dense.errors import CheckpointError, UsageError


def inspect_checkpoint(source: str, backbone: dict | None = None) -> str:
    """Describe a checkpoint: its layout, architecture, size and precision, and what would load.

    Args:
        source: As in `read_weights`.
        backbone: The config of the backbone to load it into. Defaults to the one that the weights are of.

    Raises:
        CheckpointError: If it cannot be read or holds no ConvNeXt.
        UsageError: If the backbone is not this package's ConvNeXt.

    Example:
        >>> print(inspect_checkpoint('convnext_tiny_in1k'))  # doctest: +SKIP
    """
    checkpoint = read_weights(source)
    tensors = flatten(checkpoint)
    found = find(tensors)
    if found is None:
        raise CheckpointError(no_convnext(source, tensors))
    weights = to_official(tensors, found).weights
    config = measure(weights).backbone()
    _, report = match(tensors, _on_meta(backbone or config), source)
    count = sum(tensor.numel() for tensor in weights.values())
    size = f'{Path(source).stat().st_size / 1e6:.1f} MB, ' if Path(source).is_file() else ''
    values = ', '.join(f'{key}={value!r}' for key, value in config.items())
    return '\n'.join(
        [
            f'file         {size}{len(tensors)} tensors, top keys {", ".join(sorted(map(str, checkpoint))[:8])}',
            f'backbone     {count / 1e6:.1f} M parameters in {len(weights)} tensors',
            f'to use it    backbone=dict({values},',
            f"                 init_cfg=dict(type='Pretrained', checkpoint={source!r}))",
            str(report),
            *([] if report.fits else [f'WOULD NOT LOAD: {report.problem()}']),
        ]
    )


def published_table() -> str:
    """Return the published names, each with its licence and where it is from."""
    width = max(map(len, PUBLISHED))
    return '\n'.join(f'{name:<{width}}  {each.licence:<33}  {each.address}' for name, each in PUBLISHED.items())


def _on_meta(config: dict) -> ConvNeXt:
    config = dict(config)
    kind = str(config.pop('type', 'ConvNeXt')).split('.')[-1]
    config.pop('_scope_', None)
    if kind != 'ConvNeXt':
        raise UsageError(f'the backbone must be convnext_dense.ConvNeXt; the config has {kind}.')
    try:
        with torch.device('meta'):
            return ConvNeXt(**config)
    except (TypeError, ValueError) as error:
        raise UsageError(f'the backbone of the config: {error}') from error
