"""Finds the depth of a backbone's parameters by their names, for backbones without `get_layer_depth`."""

import re
from collections.abc import Iterable

from convnext_dense.wording import counted

# The indices that open the names of a backbone's blocks: `layer1.0.` of ResNet, `stages.0.blocks.1.` of Swin,
# `layers.3.` of ViT, `layers.0.1.2.` of MiT and PVT, `stage2.0.` of HRNet and CSPDarknet, `block1.0.` of MSCAN,
# `conv_res_block1.` of Darknet, `features.7.` of VGG; TimmBackbone's follow `model.`.
BLOCK = re.compile(
    r'(?:model\.)?(?:stages?|layers?|blocks?|conv_res_block|features|hourglass_modules)\.?'
    r'(\d+(?:\.(?:blocks\.)?\d+)*)\.'
)
# The steps between two stages, where a backbone keeps them outside of its stages: `downsample_layers.1.` of ConvNeXt,
# `patch_embed2.` of SegFormer's own code, `transitions.0.` of RepLKNet.
STEP = re.compile(r'((?:model\.)?(?:down|transition|patch_embed|patch_merg|merg|reduc)\w*?)\.?(\d+)\.')
# The stages and the downsampling of the official ConvNeXt, which its descendants (HorNet, SLaK, ...) have too.
CONVNEXT_STAGE = re.compile(r'stages\.(\d+)\.(\d+)\.')
CONVNEXT_STEPS = 'downsample_layers'


def convnext_depths(names: Iterable[str]) -> tuple[int, ...] | None:
    """Return the number of blocks in each stage of a backbone of the official ConvNeXt's layout, or None of another.

    Args:
        names: The names of all its parameters.

    Example:
        >>> convnext_depths(['downsample_layers.0.0.weight', 'stages.0.0.gamma', 'stages.0.1.gamma', 'norm0.weight'])
        (2,)
    """
    names = list(names)
    blocks = {tuple(map(int, match.groups())) for name in names if (match := CONVNEXT_STAGE.match(name))}
    stages = [stage for stage, _ in blocks]
    steps = _steps(names).get(CONVNEXT_STEPS, ())
    if not steps or sorted(set(stages)) != list(range(len(steps))) or list(steps) != list(range(len(steps))):
        return None
    return tuple(stages.count(stage) for stage in range(len(steps)))


def layer_ids(names: Iterable[str]) -> tuple[dict[str, int], int]:
    """Number the layers of a backbone: the stem is 0, then every block is a layer, and the end is one more.

    Args:
        names: The names of all its parameters, in the order of `named_parameters`.

    Returns:
        The layer id of each name, and the number of blocks. Parameters between two blocks belong to the earlier one,
        wherever the backbone keeps its downsampling.

    Raises:
        ValueError: If the backbone keeps its downsampling outside of its stages, and not one step for each.

    Example:
        >>> layer_ids(['conv1.weight', 'layer1.0.conv1.weight', 'layer1.1.conv1.weight', 'norm.weight'])
        ({'conv1.weight': 0, 'layer1.0.conv1.weight': 1, 'layer1.1.conv1.weight': 2, 'norm.weight': 3}, 2)
    """
    names = list(names)
    indices = [_block_indices(name) for name in names]
    # A stage's blocks have the most indices. Modules next to them have fewer: `stages.0.downsample.`, or a norm,
    # `layers.0.2.`.
    most: dict[int, int] = {}
    for index in filter(None, indices):
        most[index[0]] = max(most.get(index[0], 0), len(index))
    units = [index if index and len(index) == most[index[0]] else () for index in indices]
    return _number(names, units, indices)


def stage_ids(names: Iterable[str]) -> tuple[dict[str, int], int]:
    """Number the stages of a backbone, as `layer_ids` does its layers.

    Example:
        >>> stage_ids(['conv1.weight', 'layer1.0.conv1.weight', 'layer1.1.conv1.weight', 'norm.weight'])
        ({'conv1.weight': 0, 'layer1.0.conv1.weight': 1, 'layer1.1.conv1.weight': 1, 'norm.weight': 2}, 1)
    """
    names = list(names)
    indices = [_block_indices(name) for name in names]
    ids, stages = _number(names, [index[:1] for index in indices], indices)
    # As in mmdet's and mmseg's own constructors, all of ConvNeXt's downsampling trains with the stem.
    return {name: 0 if name.startswith(f'{CONVNEXT_STEPS}.') else stage for name, stage in ids.items()}, stages


def _number(
    names: list[str], units: list[tuple[int, ...]], indices: list[tuple[int, ...]]
) -> tuple[dict[str, int], int]:
    """Number the units from 1 by rising indices; a name without a unit belongs to the unit before it.

    After the last unit, only names within a stage belong to it.
    """
    order = {unit: i + 1 for i, unit in enumerate(sorted(set(units) - {()}))}
    steps = _placed_steps(names, units, order)
    end = max((i + 1 for i, unit in enumerate(units) if unit), default=0)
    ids: dict[str, int] = {}
    current = 0
    for i, name in enumerate(names):
        current = order.get(units[i], current)
        is_outside = i >= end and not indices[i]
        ids[name] = steps.get(name, len(order) + 1 if is_outside else current)
    return ids, len(order)


def _steps(names: Iterable[str]) -> dict[str, dict[int, list[str]]]:
    """Return the parameters of each step between two stages, in rising order, by the name that the steps share."""
    steps: dict[str, dict[int, list[str]]] = {}
    for name in names:
        if match := STEP.match(name):
            steps.setdefault(match[1], {}).setdefault(int(match[2]), []).append(name)
    return {kind: dict(sorted(numbered.items())) for kind, numbered in steps.items()}


def _placed_steps(names: list[str], units: list[tuple[int, ...]], order: dict[tuple[int, ...], int]) -> dict[str, int]:
    """Return the layer id of the parameters of steps between two stages: that of the last unit before the step."""
    last_of_stage: dict[int, int] = {}
    for unit, layer_id in order.items():
        last_of_stage[unit[0]] = max(last_of_stage.get(unit[0], 0), layer_id)
    earlier = [0, *(last_of_stage[stage] for stage in sorted(last_of_stage))][:-1]
    placed: dict[str, int] = {}
    for kind, numbered in _steps(names).items():
        if len(numbered) < 2:
            continue
        # Of as many steps as stages, the first is the stem.
        missing = len(earlier) - len(numbered)
        if missing in (0, 1):
            for before, members in zip(earlier[missing:], numbered.values(), strict=True):
                placed.update(dict.fromkeys(members, before))
        elif _are_together(names, units, numbered):
            raise ValueError(
                f'its downsampling, {kind} with {counted(len(numbered), "step")}, cannot be placed between its '
                f'{len(earlier)} '
                'stages by the names of its parameters'
            )
    return placed


def _are_together(names: list[str], units: list[tuple[int, ...]], numbered: dict[int, list[str]]) -> bool:
    """Whether all steps stand before the first block, after the last, or between the same two."""
    positions = [i for i, name in enumerate(names) for members in numbered.values() if name in members]
    return not any(units[min(positions) : max(positions)])


def _block_indices(name: str) -> tuple[int, ...]:
    match = BLOCK.match(name)
    return tuple(map(int, re.findall(r'\d+', match[1]))) if match else ()
