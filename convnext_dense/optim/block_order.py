"""Finds the depth of a backbone's parameters from their names, for backbones that do not say it themselves."""

import re
from collections.abc import Iterable

# The indices that open the names of a backbone's blocks: `layer1.0.` of ResNet, `stages.0.blocks.1.` of Swin,
# `layers.3.` of ViT, `layers.0.1.2.` of MiT and PVT, `stage2.0.` of HRNet and CSPDarknet.
BLOCK = re.compile(r'(?:stages?|layers?)\.?(\d+(?:\.(?:blocks\.)?\d+)*)\.')


def layer_ids(names: Iterable[str]) -> tuple[dict[str, int], int]:
    """Number the layers of a backbone: 0 is the stem, then a layer for each block, and one more for what follows.

    Args:
        names: The names of all its parameters, in the order of `named_parameters`.

    Returns:
        Each name's layer id, and the number of blocks. Parameters between two blocks belong to the earlier one.

    Example:
        >>> layer_ids(['conv1.weight', 'layer1.0.conv1.weight', 'layer1.1.conv1.weight', 'norm.weight'])
        ({'conv1.weight': 0, 'layer1.0.conv1.weight': 1, 'layer1.1.conv1.weight': 2, 'norm.weight': 3}, 2)
    """
    names = list(names)
    units = [_block_indices(name) for name in names]
    # `stages.0.downsample.` lies beside `stages.0.blocks.1.`: what contains blocks is no block.
    containers = {unit[:depth] for unit in units for depth in range(1, len(unit))}
    return _number(names, [() if unit in containers else unit for unit in units])


def stage_ids(names: Iterable[str]) -> tuple[dict[str, int], int]:
    """Number the stages of a backbone, as `layer_ids` does its layers.

    Example:
        >>> stage_ids(['conv1.weight', 'layer1.0.conv1.weight', 'layer1.1.conv1.weight', 'norm.weight'])
        ({'conv1.weight': 0, 'layer1.0.conv1.weight': 1, 'layer1.1.conv1.weight': 1, 'norm.weight': 2}, 1)
    """
    names = list(names)
    return _number(names, [_block_indices(name)[:1] for name in names])


def _number(names: list[str], units: list[tuple[int, ...]]) -> tuple[dict[str, int], int]:
    """Number the names' units from 1 by rising indices; an empty unit is outside of any block."""
    order = {unit: i + 1 for i, unit in enumerate(sorted(set(units) - {()}))}
    end = max((i + 1 for i, unit in enumerate(units) if unit), default=0)
    ids: dict[str, int] = {}
    current = 0
    for name, unit in zip(names[:end], units, strict=False):
        current = order.get(unit, current)
        ids[name] = current
    ids.update(dict.fromkeys(names[end:], len(order) + 1))
    return ids, len(order)


def _block_indices(name: str) -> tuple[int, ...]:
    found = BLOCK.match(name)
    return tuple(int(each) for each in re.findall(r'\d+', found[1])) if found else ()
