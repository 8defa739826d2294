"""Renames and reshapes a ConvNeXt's tensors, from any layout to the official repository's, and from that to others."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from convnext_dense.weights.layouts import MMPRETRAIN, OFFICIAL, TIMM, Layout
from convnext_dense.weights.recognize import DetectedWeights, infer_size

EXPORTS = {'ours': OFFICIAL, 'mmpretrain': MMPRETRAIN, 'timm': TIMM}
OUTSIDE = 'outside the backbone'
# timm builds these sizes with 1x1 convolutions in place of linear layers.
TIMM_CONV_MLP = ('atto', 'femto', 'pico', 'nano')


class OfficialStateDict(NamedTuple):
    """A ConvNeXt's tensors by official name, and what became of the checkpoint's other tensors.

    Args:
        weights: The tensors by official name.
        dropped: Names in the checkpoint that a backbone has no use for, each with the reason.
        unexpected: Names in the checkpoint that stand among the backbone's, but are not in its layout.
    """

    weights: dict[str, Tensor]
    dropped: dict[str, str]
    unexpected: list[str]


def to_official(tensors: Mapping[str, Tensor], detected: DetectedWeights) -> OfficialStateDict:
    """Give a ConvNeXt's tensors their official names and shapes, by views where possible.

    Args:
        tensors: The checkpoint's tensors, flattened.
        detected: The ConvNeXt's layout and prefix.

    Example:
        >>> import timm
        >>> from convnext_dense.weights.recognize import recognize
        >>> tensors = timm.create_model('test_convnext').state_dict()
        >>> official = to_official(tensors, recognize(tensors))
        >>> 'stages.0.0.dwconv.weight' in official.weights, official.dropped['head.fc.bias']
        (True, 'the classifier')
    """
    official = OfficialStateDict({}, {}, [])
    for full_name, tensor in tensors.items():
        name = full_name.removeprefix(detected.prefix)
        if not full_name.startswith(detected.prefix):
            official.dropped[full_name] = OUTSIDE
        elif (official_name := detected.layout.to_official(name)) and official_name not in official.weights:
            official.weights[official_name] = _official_shape(official_name, name, tensor)
        elif reason := detected.layout.why_dropped(name):
            official.dropped[full_name] = reason
        else:
            official.unexpected.append(full_name)
    return official


def from_official(weights: Mapping[str, Tensor], layout: Layout) -> tuple[dict[str, Tensor], list[str]]:
    """Give a ConvNeXt's tensors the names and shapes of `layout`, one of `EXPORTS`.

    Returns:
        The tensors by the layout's names, and the official names that the layout has no place for. timm's, for example,
        has no output norms for the earlier stages.

    Example:
        >>> from convnext_dense.backbones import ConvNeXt
        >>> from convnext_dense.weights.layouts import TIMM
        >>> exported, left_out = from_official(ConvNeXt('atto').state_dict(), TIMM)
        >>> exported['stages.0.blocks.0.mlp.fc1.weight'].shape, left_out[0]
        (torch.Size([160, 40, 1, 1]), 'norm0.weight')
    """
    if layout is OFFICIAL:
        return dict(weights), []
    conv_mlp = layout is TIMM and infer_size(weights).arch in TIMM_CONV_MLP
    exported, left_out = {}, []
    for name, tensor in weights.items():
        new_name = layout.from_official(name)
        if new_name is None:
            left_out.append(name)
            continue
        if '.grn.' in name:
            tensor = tensor.flatten()
        if conv_mlp and re.search(r'\.pwconv[12]\.weight$', name):
            tensor = tensor[:, :, None, None]
        exported[new_name] = tensor
    return exported, left_out


def _official_shape(name: str, source_name: str, tensor: Tensor) -> Tensor:
    if source_name.endswith('.kernel'):
        return _dense_kernel(tensor)
    if re.search(r'\.pwconv[12]\.weight$', name) and tensor.shape[2:] == (1, 1):
        return tensor.flatten(1)
    if re.search(r'\.grn\.(gamma|beta)$', name):
        return tensor.reshape(1, 1, 1, -1)
    # torchvision's LayerScale is (C, 1, 1), and MinkowskiEngine's biases are (1, C).
    if name.endswith(('.gamma', '.bias')) and tensor.numel() == max(tensor.shape, default=0):
        return tensor.flatten()
    return tensor


def _dense_kernel(kernel: Tensor) -> Tensor:
    """Return MinkowskiEngine's kernel, (k * k, C) or (k * k, C_in, C_out) with x before y, in PyTorch's shape."""
    size = round(len(kernel) ** 0.5)
    if size**2 != len(kernel) or kernel.ndim not in (2, 3):
        return kernel
    if kernel.ndim == 2:
        kernel = kernel.unsqueeze(1)
    return kernel.permute(2, 1, 0).unflatten(2, (size, size)).transpose(2, 3)
