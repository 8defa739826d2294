"""The layouts of ConvNeXt weights, as tables from their key names to the official repository's."""

import re

from torch import Tensor

# What holds the weights in the official repository's files.
OFFICIAL_WRAPPER = 'model'

# mmpretrain's backbone, in the order of its blocks.
MMPRETRAIN = (
    (re.compile(r'\.depthwise_conv\.'), '.dwconv.'),
    (re.compile(r'\.pointwise_conv([12])\.'), r'.pwconv\1.'),
)
# The official classifier's: its final norm is the last stage's output norm, and its head is of no use here.
CLASSIFIER = (re.compile(r'^norm\.'), 'norm3.')
CLASSIFIER_HEAD = re.compile(r'^head\.')


def rename_to_official(state_dict: dict[str, Tensor], prefix: str) -> None:
    """Rename a ConvNeXt's weights, of the official repository or mmpretrain, to the backbone's own names in place.

    Pointwise convolutions that were saved as 1x1 convolutions become linear, and mmpretrain's flat GRN parameters get
    the official shape.

    Args:
        state_dict: The weights, as a backbone or a whole model is given them. Names without `prefix` stay.
        prefix: What the backbone's names begin with.

    Example:
        >>> import torch
        >>> weights = {'stages.0.0.pointwise_conv1.weight': torch.rand(8, 2, 1, 1)}
        >>> rename_to_official(weights, '')
        >>> {name: tuple(tensor.shape) for name, tensor in weights.items()}
        {'stages.0.0.pwconv1.weight': (8, 2)}
    """
    if not prefix and isinstance(state_dict.get(OFFICIAL_WRAPPER), dict):
        state_dict.update(state_dict.pop(OFFICIAL_WRAPPER))
    for name in [name for name in state_dict if name.startswith(prefix)]:
        own_name = name[len(prefix) :]
        if CLASSIFIER_HEAD.match(own_name):
            del state_dict[name]
            continue
        for pattern, official in (*MMPRETRAIN, CLASSIFIER):
            own_name = pattern.sub(official, own_name)
        state_dict[prefix + own_name] = _official_shape(own_name, state_dict.pop(name))


def _official_shape(name: str, tensor: Tensor) -> Tensor:
    if re.search(r'\.pwconv[12]\.weight$', name) and tensor.ndim == 4:
        return tensor.flatten(1)
    if re.search(r'\.grn\.(gamma|beta)$', name):
        return tensor.view(1, 1, 1, -1)
    return tensor
