"""What the backbones of four stages share: which stages are returned, and how deep a parameter lies."""

from collections.abc import Sequence


def resolve_out_indices(out_indices: int | Sequence[int], num_stages: int) -> tuple[int, ...]:
    """Return the stages that `out_indices` names, each once, in rising order.

    Args:
        out_indices: Stage or stages, from 0; negative ones count from the last.
        num_stages: How many there are.

    Raises:
        ValueError: If there is no such stage.

    Example:
        >>> resolve_out_indices((0, -1), num_stages=4)
        (0, 3)
    """
    given = list(out_indices) if isinstance(out_indices, Sequence) else [out_indices]
    if not given or not all(isinstance(i, int) and -num_stages <= i < num_stages for i in given):
        raise ValueError(
            f'out_indices must name stages from 0 to {num_stages - 1} (or -{num_stages} to -1, from the last); '
            f'got {out_indices!r}.'
        )
    return tuple(sorted({i % num_stages for i in given}))


def layer_depth(depths: Sequence[int], param_name: str, prefix: str = '') -> tuple[int, int]:
    """Return the layer id, and the number of layers, of a parameter of ``downsample_layers`` or ``stages``.

    Three blocks of the third stage make a layer; each other stage is one. The stem's step and the head's are counted,
    and all other parameters are at the head's.

    Args:
        depths: The number of blocks in each stage.
        param_name: The parameter's full name.
        prefix: What the backbone's names begin with; a parameter without it belongs to the head.

    Example:
        >>> layer_depth((3, 3, 9, 3), 'backbone.stages.2.8.gamma', 'backbone.')
        (5, 8)
    """
    last = 12 if len(depths) > 2 and depths[2] > 9 else 6
    head = last + 1
    if not param_name.startswith(prefix):
        return head, last + 2
    kind, *indices = param_name[len(prefix) :].split('.')
    if kind not in ('downsample_layers', 'stages'):
        return head, last + 2
    stage = int(indices[0])
    if stage >= 3:
        return last, last + 2
    if kind == 'downsample_layers':
        return (0, 2, 3)[stage], last + 2
    if stage < 2:
        return stage + 1, last + 2
    return min(3 + int(indices[1]) // 3, last), last + 2
