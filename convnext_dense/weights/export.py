"""Converts a checkpoint to another layout, and leaves out what only training needs."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from convnext_dense.compat.checkpoint_loading import make_harmless
from convnext_dense.errors import CheckpointError
from convnext_dense.weights.conversion import EXPORTS, OUTSIDE, from_official, to_official
from convnext_dense.weights.matching import count_by_module, describe_diverged, locate, shorten
from convnext_dense.weights.recognize import BACKBONE, DetectedWeights, flatten, infer_size
from convnext_dense.weights.storage.checksums import verify_checksums
from convnext_dense.weights.storage.files import check_new_file, write_file
from convnext_dense.weights.storage.sources import read_weights
from convnext_dense.wording import counted


def convert_checkpoint(source: str, path: str | Path, layout: str = 'ours', backbone_only: bool = False) -> str:
    """Write the ConvNeXt of any checkpoint to a new file, in another layout.

    Only weights are written: the optimizer, the log and other copies are left out. In the layouts 'ours' and
    'mmpretrain', an OpenMMLab model stays whole and the rest of it keeps its names. 'timm' holds the backbone only.

    Args:
        source: As in `read_weights`.
        path: The new file, ending in .pth, .pt or .safetensors.
        layout: 'ours' (the official names), 'mmpretrain' or 'timm'.
        backbone_only: Whether to leave out the rest of a whole model.

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
    verify_checksums(source)
    tensors = flatten(checkpoint)
    detected = locate(tensors, source)
    if problem := describe_diverged(model_tensors(tensors, detected), source):
        raise CheckpointError(problem)
    official = to_official(tensors, detected)
    size = infer_size(official.weights)
    weights, left_out = from_official(official.weights, EXPORTS[layout])
    rest = {}
    if detected.prefix.endswith(BACKBONE) and layout != 'timm' and not backbone_only:
        rest = other_tensors(tensors, detected)
    if rest or layout == 'mmpretrain':
        weights = {BACKBONE + name: tensor for name, tensor in weights.items()}
    meta = make_harmless(checkpoint, source).get('meta')
    write_file(path, {**weights, **rest}, meta if isinstance(meta, Mapping) else None)
    kept = f', with {len(rest)} of the rest of the model' if rest else ''
    lines = [
        f'{path}: {size} in the {EXPORTS[layout].name} layout, {counted(len(weights), "tensor")}{kept}; '
        f'{path.stat().st_size / 1e6:.1f} MB, from the {detected.layout.name} layout.'
    ]
    left_out += [*official.unexpected, *(name for name, reason in official.dropped.items() if reason != OUTSIDE)]
    if left_out:
        lines.append(f'left out: {shorten(left_out)}')
    outside = [
        name
        for name, reason in official.dropped.items()
        if reason == OUTSIDE and _name_in_model(name, detected) not in rest
    ]
    if outside:
        lines.append(f'left out, {OUTSIDE}: {count_by_module(outside, detected.prefix)}')
    return '\n'.join(lines)


def model_tensors(tensors: Mapping[str, Tensor], detected: DetectedWeights) -> dict[str, Tensor]:
    """Return the tensors of the model that has the backbone; in a training's checkpoint, not those of its optimizer."""
    return {name: tensor for name, tensor in tensors.items() if name.startswith(detected.prefix.removesuffix(BACKBONE))}


def other_tensors(tensors: Mapping[str, Tensor], detected: DetectedWeights) -> dict[str, Tensor]:
    """Return the model's tensors outside its backbone, by their names in the model."""
    return {
        _name_in_model(name, detected): tensor
        for name, tensor in model_tensors(tensors, detected).items()
        if not name.startswith(detected.prefix)
    }


def _name_in_model(name: str, detected: DetectedWeights) -> str:
    return name.removeprefix(detected.prefix.removesuffix(BACKBONE))
