"""Finds a ConvNeXt among the tensors of a checkpoint: its layout, where it stands, and its size."""

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
# Of several copies in a file, averaged weights are what its authors evaluate. mmengine is the exception: it saves the
# averaged ones as `state_dict`, and the others as `ema_state_dict`.
PREFERRED = re.compile(r'(^|[._])(model_ema|state_dict_ema|teacher)\.')
AVOIDED = re.compile(r'(^|[._])(ema_state_dict|student|optimizer)\.')


class Found(NamedTuple):
    """A ConvNeXt in a checkpoint: its layout, and the prefix of its names among the flattened ones."""

    layout: Layout
    prefix: str


class Size(NamedTuple):
    """What the shapes of a ConvNeXt's tensors say of it."""

    depths: tuple[int, ...]
    channels: tuple[int, ...]
    in_channels: int | None
    use_grn: bool
    layer_scale: bool

    @property
    def arch(self) -> str | dict:
        """The backbone's argument `arch`: a name where there is one."""
        for name, arch in ConvNeXt.arch_settings.items():
            if arch == (self.depths, self.channels):
                return name
        return dict(depths=list(self.depths), channels=list(self.channels))

    def __str__(self) -> str:
        arch = self.arch
        if isinstance(arch, dict):
            arch = f'of depths {list(self.depths)} and channels {list(self.channels)}'
        return f'ConvNeXt {"V2" if self.use_grn else "V1"} {arch}'

    def backbone(self) -> dict:
        """The config of the backbone that these weights are of."""
        config = dict(type='convnext_dense.ConvNeXt', arch=self.arch)
        if self.in_channels not in (3, None):
            config['in_channels'] = self.in_channels
        if self.use_grn:
            config['use_grn'] = True
        return config | dict(layer_scale_init_value=1.0 if self.layer_scale else 0.0)


def flatten(checkpoint: Mapping, prefix: str = '') -> dict[str, Tensor]:
    """Return every tensor of a checkpoint by its name, with the keys of nested dicts before it and dots between.

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


def find(names: Iterable[str], prefix: str | None = None) -> Found | None:
    """Return the layout and the prefix of the ConvNeXt among `names`, or None where there is none.

    Every block has a tensor that says its layout, so that one missing tensor hides nothing. Of several ConvNeXts,
    averaged weights (`model_ema`, `teacher`) come first, then the one with the most blocks.

    Args:
        names: Names of tensors, as `flatten` returns them.
        prefix: What stands before the names of the one to choose, if there are several: all of it, or some modules.

    Raises:
        CheckpointError: If there are several, and none of that prefix.

    Example:
        >>> import timm
        >>> from convnext_dense.weights.recognize import find
        >>> found = find(timm.create_model('test_convnext').state_dict())
        >>> found.layout.name, found.prefix
        ('timm', '')
    """
    blocks = Counter(
        Found(layout, match[1]) for name in names for layout in LAYOUTS if (match := layout.mark.fullmatch(name))
    )
    candidates = list(blocks)
    if prefix and len(candidates) > 1:
        modules = f'.{prefix.strip(".")}.'
        candidates = [each for each in blocks if modules in f'.{each.prefix}']
        if not candidates:
            prefixes = ', '.join(repr(each.prefix) for each in blocks)
            raise CheckpointError(f'prefix={prefix!r}: there is no ConvNeXt there; there are some at {prefixes}.')

    def rank(candidate: Found) -> tuple[int, int]:
        averaged = bool(PREFERRED.search(candidate.prefix)) - bool(AVOIDED.search(candidate.prefix))
        return averaged, blocks[candidate]

    return max(candidates, key=rank, default=None)


def measure(weights: Mapping[str, Tensor]) -> Size:
    """Return the size of a ConvNeXt from its tensors, by official names; a stage without tensors has 0 blocks.

    Example:
        >>> from convnext_dense.backbones import ConvNeXt
        >>> from convnext_dense.weights.recognize import measure
        >>> print(measure(ConvNeXt('atto', use_grn=True).state_dict()))
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
