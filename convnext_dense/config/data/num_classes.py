"""Gives the heads of a model the number of classes of a dataset."""

from mmengine.config import ConfigDict

from convnext_dense.config.data.heads import STUFF, THINGS, find_heads, head_argument
from convnext_dense.config.tree import bare_type

# They predict borders.
OTHER_CLASSES = ('STDCHead',)


def set_num_classes(model: ConfigDict, count: int, things: int | None = None) -> None:
    """Give each head a number of classes, and its losses as many weights.

    Args:
        model: The model's config, which is changed.
        count: How many classes, without a background.
        things: How many of them are things; None if all are.

    Example:
        >>> model = ConfigDict(roi_head=dict(bbox_head=[dict(num_classes=80)] * 2, mask_head=dict(num_classes=80)))
        >>> set_num_classes(model, 3)
        >>> model.roi_head.bbox_head[0].num_classes, model.roi_head.mask_head.num_classes
        (3, 3)
    """
    things = count if things is None else things
    for _, head in find_heads('model', model):
        if bare_type(head.get('type')) in OTHER_CLASSES:
            continue
        old, old_things, old_stuff = (head_argument(head, name) for name in ('num_classes', THINGS, STUFF))
        new = things
        if 'num_classes' not in head and old_things is not None:
            old, new = old_things + (old_stuff or 0), count
            head.update({THINGS: things, STUFF: count - things})
        elif old is not None:
            if head.get('out_channels') == old:
                head['out_channels'] = new
            head['num_classes'] = new
        _fit_losses(head, old or 0, new)


def _fit_losses(head: dict, old: int, count: int) -> None:
    """Give losses the first class's weight for each class, and a background what it had."""
    for name, losses in head.items():
        if not name.startswith('loss'):
            continue
        for loss in losses if isinstance(losses, list | tuple) else [losses]:
            if not isinstance(loss, dict):
                continue
            weights = loss.get('class_weight')
            if isinstance(weights, list | tuple) and len(weights) - old in (0, 1):
                loss['class_weight'] = [weights[0]] * count + list(weights[old:])
            if loss.get('num_classes') == old:
                loss['num_classes'] = count
