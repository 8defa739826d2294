"""Recognizes a ConvNeXt among the tensors of a checkpoint: its layout, its prefix, and its size."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import CheckpointError
from convnext_dense.weights.layouts import LAYOUTS, Layout

# What OpenMMLab's models call their backbone.
BACKBONE = 'backbone.'
# Of several copies in a file, take the averaged weights: its authors evaluate those. mmengine saves them as
# `state_dict`, and the others as `ema_state_dict`.
PREFERRED = re.compile(r'(^|[._])(model_ema|state_dict_ema|teacher)\.')
AVOIDED = re.compile(r'(^|[._])(ema_state_dict|student|optimizer)\.')

# A part of every detector of RT-DETR's and D-FINE's authors.
DETR_PART = 'decoder.enc_score_head.'


class DetectedWeights(NamedTuple):
    """A ConvNeXt in a checkpoint: its layout, and the prefix of its names among the flattened ones."""

    layout: Layout
    prefix: str


class Size(NamedTuple):
    """The size of a ConvNeXt, as the shapes of its tensors show it."""

    depths: tuple[int, ...]
    channels: tuple[int, ...]
    in_channels: int | None
    use_grn: bool
    layer_scale: bool

    @property
    def arch(self) -> str | dict:
        """The backbone's argument `arch`: a name if this size has one, else the depths and channels."""
        for name, arch in ConvNeXt.arch_settings.items():
            if arch == (self.depths, self.channels):
                return name
        return dict(depths=list(self.depths), channels=list(self.channels))

    def __str__(self) -> str:
        arch = self.arch
        if isinstance(arch, dict):
            arch = f'of depths {list(self.depths)} and channels {list(self.channels)}'
        return f'ConvNeXt {"V2" if self.use_grn else "V1"} {arch}'

    def backbone_cfg(self) -> dict:
        """Return the config of a backbone of this size."""
        config: dict = dict(type='convnext_dense.ConvNeXt', arch=self.arch)
        if self.in_channels not in (3, None):
            config['in_channels'] = self.in_channels
        if self.use_grn:
            config['use_grn'] = True
        return config | dict(layer_scale_init_value=1.0 if self.layer_scale else 0.0)


def flatten(checkpoint: Mapping, prefix: str = '') -> dict[str, Tensor]:
    """Return every tensor of a checkpoint by its name; the keys of nested dicts come before it, joined by dots.

    Example:
        >>> import torch
        >>> list(flatten({'epoch': 3, 'model': {'module.head.bias': torch.zeros(2)}}))
        ['model.module.head.bias']
    """
    tensors = {}
    for key, value in checkpoint.items():
        if isinstance(value, Tensor):
            tensors[f'{prefix}{key}'] = value
        elif isinstance(value, Mapping):
            tensors |= flatten(value, f'{prefix}{key}.')
    return tensors


def recognize(names: Iterable[str], prefix: str | None = None) -> DetectedWeights | None:
    """Return the layout and the prefix of the ConvNeXt among `names`, or None if there is none.

    Every block has a signature of its layout, so a missing tensor hides nothing. Of several ConvNeXts, averaged
    weights (`model_ema`, `teacher`) come first, then the one with the most blocks.

    Args:
        names: Names of tensors, as `flatten` returns them.
        prefix: Which of several ConvNeXts to take: the prefix of its names, or some modules in it.

    Raises:
        CheckpointError: If there are several, and none of them has that prefix.

    Example:
        >>> import timm
        >>> from convnext_dense.weights.recognize import recognize
        >>> detected = recognize(timm.create_model('test_convnext').state_dict())
        >>> detected.layout.name, detected.prefix
        ('timm', '')
    """
    blocks = Counter(
        DetectedWeights(layout, match[1])
        for name in names
        for layout in LAYOUTS
        if (match := layout.signature.fullmatch(name))
    )
    candidates = list(blocks)
    if prefix and len(candidates) > 1:
        modules = f'.{prefix.strip(".")}.'
        candidates = [candidate for candidate in blocks if modules in f'.{candidate.prefix}']
        if not candidates:
            prefixes = ', '.join(repr(candidate.prefix) for candidate in blocks)
            raise CheckpointError(f'prefix={prefix!r}: there is no ConvNeXt there; there are some at {prefixes}.')

    def rank(candidate: DetectedWeights) -> tuple[int, int]:
        averaged = bool(PREFERRED.search(candidate.prefix)) - bool(AVOIDED.search(candidate.prefix))
        return averaged, blocks[candidate]

    return max(candidates, key=rank, default=None)


def find_detr(checkpoint: Mapping) -> dict[str, Tensor] | None:
    """Return the detector in a checkpoint of RT-DETR's or D-FINE's authors, the averaged one if there are two.

    Args:
        checkpoint: The file's content.

    Returns:
        Its weights by the authors' names; None if there is none.

    Example:
        >>> import torch
        >>> weights = {'decoder.enc_score_head.bias': torch.zeros(2)}
        >>> find_detr({'ema': {'module': weights, 'updates': 9}, 'last_epoch': 71}) == weights
        True
    """
    averaged = checkpoint.get('ema')
    for weights in (averaged.get('module') if isinstance(averaged, Mapping) else None, checkpoint.get('model')):
        if isinstance(weights, Mapping) and any(str(name).startswith(DETR_PART) for name in weights):
            return dict(weights)
    return None


def infer_size(weights: Mapping[str, Tensor]) -> Size:
    """Return the size of a ConvNeXt from its tensors, by official names; a stage without tensors has 0 blocks.

    Example:
        >>> from convnext_dense.backbones import ConvNeXt
        >>> from convnext_dense.weights.recognize import infer_size
        >>> print(infer_size(ConvNeXt('atto', use_grn=True).state_dict()))
        ConvNeXt V2 atto
    """
    depths, channels = Counter(), Counter()
    for name, tensor in weights.items():
        if match := re.match(r'stages\.(\d+)\.(\d+)\.', name):
            stage = int(match[1])
            depths[stage] = max(depths[stage], int(match[2]) + 1)
            if name.endswith('.dwconv.weight') and tensor.ndim:
                channels[stage] = len(tensor)
    stages = range(max(depths, default=-1) + 1)
    stem = weights.get('downsample_layers.0.0.weight')
    return Size(
        tuple(depths[stage] for stage in stages),
        tuple(channels[stage] for stage in stages),
        None if stem is None or stem.ndim != 4 else stem.shape[1],
        use_grn=any('.grn.' in name for name in weights),
        layer_scale=any(re.fullmatch(r'stages\.\d+\.\d+\.gamma', name) for name in weights),
    )
