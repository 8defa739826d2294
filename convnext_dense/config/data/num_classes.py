"""Gives the heads of a model the number of classes of a dataset."""

from mmengine.config import ConfigDict

from convnext_dense.config.data.heads import STUFF, THINGS, find_heads, head_argument
from convnext_dense.config.tree import bare_type

# They predict borders.
OTHER_CLASSES = ('STDCHead',)


def set_num_classes(model: ConfigDict, count: int) -> list[str]:
    """Give each head a number of classes, and its losses as many weights.

    Args:
        model: The model's config, which is changed.
        count: How many classes, without a background.

    Returns:
        The keys that were changed.

    Example:
        >>> model = ConfigDict(roi_head=dict(bbox_head=[dict(num_classes=80)] * 2, mask_head=dict(num_classes=80)))
        >>> set_num_classes(model, 3)[0], model.roi_head.mask_head.num_classes
        ('model.roi_head.bbox_head.0.num_classes', 3)
    """
    changed = []
    for key, head in find_heads('model', model):
        if bare_type(head.get('type')) in OTHER_CLASSES:
            continue
        before = [head_argument(head, name) for name in ('num_classes', THINGS, STUFF)]
        if 'num_classes' not in head and before[1] is not None:
            wanted = {THINGS: count, STUFF: 0}
        else:
            wanted = {} if before[0] is None else {'num_classes': count}
            if wanted and head.get('out_channels') == before[0]:
                wanted['out_channels'] = count
        for name, value in wanted.items():
            if head.get(name) != value:
                head[name] = value
                changed.append(f'{key}.{name}')
        old = before[0] if 'num_classes' in wanted else sum(number or 0 for number in before[1:])
        changed += [f'{key}.{name}' for name in _fit_losses(head, old or 0, count)]
    return changed


def _fit_losses(head: dict, old: int, count: int) -> list[str]:
    """Give losses the first class's weight for each class, and a background what it had; return what was changed."""
    changed = []
    for name, losses in head.items():
        if not name.startswith('loss'):
            continue
        for loss in losses if isinstance(losses, list | tuple) else [losses]:
            weights = loss.get('class_weight') if isinstance(loss, dict) else None
            if isinstance(weights, list | tuple) and len(weights) - old in (0, 1):
                loss['class_weight'] = [weights[0]] * count + list(weights[old:])
                changed.append(f'{name}.class_weight')
            if isinstance(loss, dict) and loss.get('num_classes') == old:
                loss['num_classes'] = count
                changed.append(f'{name}.num_classes')
    return changed
