"""Finds the depth of a backbone's parameters from their names, for backbones that do not say it themselves."""

import re
from collections.abc import Iterable

# The indices that open the names of a backbone's blocks: `layer1.0.` of ResNet, `stages.0.blocks.1.` of Swin,
# `layers.3.` of ViT, `layers.0.1.2.` of MiT and PVT, `stage2.0.` of HRNet and CSPDarknet, `block1.0.` of MSCAN,
# `conv_res_block1.` of Darknet, `features.7.` of VGG; TimmBackbone's follow `model.`.
BLOCK = re.compile(
    r'(?:model\.)?(?:stages?|layers?|blocks?|conv_res_block|features|hourglass_modules)\.?'
    r'(\d+(?:\.(?:blocks\.)?\d+)*)\.'
)


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
    indices = [_block_indices(name) for name in names]
    # A stage's blocks are what is deepest in it; beside them lie `stages.0.downsample.` or `layers.0.2.`, a norm.
    depth = {each[0]: 0 for each in indices if each}
    for each in indices:
        if each:
            depth[each[0]] = max(depth[each[0]], len(each))
    units = [each if each and len(each) == depth[each[0]] else () for each in indices]
    return _number(names, units, indices)


def stage_ids(names: Iterable[str]) -> tuple[dict[str, int], int]:
    """Number the stages of a backbone, as `layer_ids` does its layers.

    Example:
        >>> stage_ids(['conv1.weight', 'layer1.0.conv1.weight', 'layer1.1.conv1.weight', 'norm.weight'])
        ({'conv1.weight': 0, 'layer1.0.conv1.weight': 1, 'layer1.1.conv1.weight': 1, 'norm.weight': 2}, 1)
    """
    names = list(names)
    indices = [_block_indices(name) for name in names]
    return _number(names, [each[:1] for each in indices], indices)


def _number(
    names: list[str], units: list[tuple[int, ...]], indices: list[tuple[int, ...]]
) -> tuple[dict[str, int], int]:
    """Number the names' units from 1 by rising indices; a name without a unit goes with the unit before it.

    After the last unit, only what still lies within a stage goes with it.
    """
    order = {unit: i + 1 for i, unit in enumerate(sorted(set(units) - {()}))}
    end = max((i + 1 for i, unit in enumerate(units) if unit), default=0)
    ids: dict[str, int] = {}
    current = 0
    for i, name in enumerate(names):
        current = order.get(units[i], current)
        is_outside = i >= end and not indices[i]
        ids[name] = len(order) + 1 if is_outside else current
    return ids, len(order)


def _block_indices(name: str) -> tuple[int, ...]:
    found = BLOCK.match(name)
    return tuple(int(each) for each in re.findall(r'\d+', found[1])) if found else ()
