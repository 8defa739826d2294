"""Writes a checkpoint's weights anew, in a layout of choice and without what only training needs."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from convnext_dense.errors import CheckpointError
from convnext_dense.weights.conversion import EXPORTS, OUTSIDE, from_official, to_official
from convnext_dense.weights.files import check_new_file, write_file
from convnext_dense.weights.matching import listed, locate, modules
from convnext_dense.weights.recognize import BACKBONE, Found, flatten, measure
from convnext_dense.weights.sources import read_weights


def convert_checkpoint(source: str, path: str | Path, layout: str = 'ours', backbone_only: bool = False) -> str:
    """Write the ConvNeXt of any checkpoint to a new file, in another layout.

    What is left is weights: optimizer, log and other copies are dropped. An OpenMMLab model stays whole in 'ours' and
    'mmpretrain', with the rest of it as it is; 'timm' has room for its backbone only.

    Args:
        source: As in `read_weights`.
        path: The new file, ending in .pth, .pt or .safetensors.
        layout: 'ours' (the official names), 'mmpretrain' or 'timm'.
        backbone_only: Whether the rest of a whole model is left out.

    Returns:
        A summary of what was written and what was left out.

    Raises:
        CheckpointError: If the source cannot be read or has no ConvNeXt, or the file cannot be written.

    Example:
        >>> print(convert_checkpoint('epoch_36.pth', 'detector.safetensors'))  # doctest: +SKIP
    """
    if layout not in EXPORTS:
        raise CheckpointError(f'the layout must be one of {", ".join(EXPORTS)}; got {layout!r}.')
    path = Path(path)
    check_new_file(path)
    checkpoint = read_weights(source)
    tensors = flatten(checkpoint)
    found = locate(tensors, source)
    official = to_official(tensors, found)
    size = measure(official.weights)
    weights, left = from_official(official.weights, EXPORTS[layout])
    rest = {}
    if found.prefix.endswith(BACKBONE) and layout != 'timm' and not backbone_only:
        rest = beside(tensors, found)
    if rest or layout == 'mmpretrain':
        weights = {BACKBONE + name: tensor for name, tensor in weights.items()}
    meta = checkpoint.get('meta')
    write_file(path, {**weights, **rest}, meta if isinstance(meta, Mapping) else None)
    kept = f', with {len(rest)} of the rest of the model' if rest else ''
    lines = [
        f'{path}: {size} in the {EXPORTS[layout].name} layout, {len(weights)} tensors{kept}; '
        f'{path.stat().st_size / 1e6:.1f} MB, from the {found.layout.name} layout.'
    ]
    gone = [*left, *official.unexpected, *(name for name, why in official.dropped.items() if why != OUTSIDE)]
    if gone:
        lines.append(f'left out: {listed(gone)}')
    others = [name for name, why in official.dropped.items() if why == OUTSIDE and _own_name(name, found) not in rest]
    if others:
        lines.append(f'left out beside the backbone: {modules(others, found.prefix)}')
    return '\n'.join(lines)


def _own_name(name: str, found: Found) -> str:
    """Return a name in the checkpoint as the whole model has it."""
    return name.removeprefix(found.prefix.removesuffix(BACKBONE))


def beside(tensors: Mapping[str, Tensor], found: Found) -> dict[str, Tensor]:
    """Return the tensors of the model whose backbone was found, but for the backbone's."""
    model = found.prefix.removesuffix(BACKBONE)
    return {
        _own_name(name, found): tensor
        for name, tensor in tensors.items()
        if name.startswith(model) and not name.startswith(found.prefix)
    }
