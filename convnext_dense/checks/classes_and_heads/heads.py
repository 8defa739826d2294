"""The check on heads: as many classes as the dataset has."""

from collections.abc import Iterator
from dataclasses import dataclass

from mmengine.registry import DefaultScope

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.config.data.heads import STUFF, THINGS, find_heads, head_argument
from convnext_dense.config.tree import bare_type
from convnext_dense.wording import counted


@dataclass(frozen=True)
class Wanted:
    """How many classes heads must have.

    Args:
        source: The dataset, in words.
        classes: All classes of the dataset.
        things: Those with instances. None if the dataset does not say.
    """

    source: str
    classes: int
    things: int | None = None

    @property
    def instances(self) -> int:
        return self.classes if self.things is None else self.things


def find_in_heads(plan: RunPlan) -> Iterator[Finding]:
    """Find heads that have another number of classes than the first dataset that has classes."""
    wanted = next((_wanted(dataset) for dataset in plan.datasets if dataset.classes), None)
    if wanted is None or plan.is_open_vocabulary:
        return
    is_segmenter = plan.cfg.default_scope == 'mmseg'
    with DefaultScope.overwrite_default_scope(plan.cfg.default_scope):
        for key, head in find_heads('model', plan.cfg.model):
            yield from _wrong_decode_head(key, head, wanted) if is_segmenter else _wrong_head(key, head, wanted)


def _wanted(dataset: PlannedDataset) -> Wanted:
    classes = dataset.classes
    metainfo = dataset.built.metainfo
    count = f'{len(classes)} class' if len(classes) == 1 else f'{len(classes)} classes'
    source = f'{dataset.key} has {count}'
    things, stuff = metainfo.get('thing_classes'), metainfo.get('stuff_classes')
    if things is None or stuff is None or sorted([*things, *stuff]) != sorted(classes):
        return Wanted(source, len(classes))
    return Wanted(f'{source}, {len(things)} of them things', len(classes), len(things))


def _wrong_head(key: str, head: dict, wanted: Wanted) -> Iterator[Finding]:
    # mmdet's tracking head takes num_classes instead.
    things, stuff = (None, None) if 'num_classes' in head else (head_argument(head, THINGS), head_argument(head, STUFF))
    if things is not None and stuff is not None:
        if wanted.things is None:
            is_wrong = things + stuff != wanted.classes
            must = f'together they must be {wanted.classes}'
        else:
            is_wrong = (things, stuff) != (wanted.things, wanted.classes - wanted.things)
            must = f'they must be {wanted.things} and {wanted.classes - wanted.things}'
        if is_wrong:
            yield Finding(f'{key}.{THINGS}: is {things} and {STUFF} {stuff}, but {wanted.source}; {must}.')
        yield from _wrong_weights(key, head, {wanted.classes + 1} if 'num_queries' in head else None)
        return
    count = head_argument(head, 'num_classes')
    # HTC's semantic head predicts COCO-stuff; a mask that is the same for all classes has one channel.
    if count is None or key.endswith('semantic_head') or head.get('class_agnostic'):
        return
    if count != wanted.instances:
        yield _wrong_count(key, head, count, wanted.instances, wanted)
    else:
        # With softmax, the background is a class too.
        yield from _wrong_weights(key, head, {count, count + 1})


def _wrong_decode_head(key: str, head: dict, wanted: Wanted) -> Iterator[Finding]:
    count = head_argument(head, 'num_classes')
    # STDC's predicts borders.
    if count is None or bare_type(head.get('type')) == 'STDCHead':
        return
    if count != wanted.classes:
        yield _wrong_count(key, head, count, wanted.classes, wanted)
        return
    if 'num_queries' in head:
        yield from _wrong_weights(key, head, {count, count + 1})
        return
    if 'kernel_update_head' in key:
        # K-Net's has no logits; its channels are those of its features.
        return
    channels = head.get('out_channels') or count
    is_softmax = _is_softmax(head)
    if channels not in (1, count) or (channels == 1 and count > 2):
        yield Finding(
            f'{key}.out_channels: is {channels} for {counted(count, "class")}; it must be {count}, or 1 for two '
            'classes and a '
            'loss with use_sigmoid=True.'
        )
    elif channels == 1 and is_softmax and count == 1:
        yield Finding(
            f'{key}.num_classes: is 1, and a softmax over one class is always 1; name the background as a class too, '
            'or use a loss with use_sigmoid=True.'
        )
    elif channels == 1 and is_softmax:
        yield Finding(
            f'{key}.out_channels: is 1, and a softmax over one channel is always 1; use_sigmoid must be True.'
        )
    else:
        yield from _wrong_weights(key, head, {channels})


def _wrong_count(key: str, head: dict, count: int, must: int, wanted: Wanted) -> Finding:
    given = '' if 'num_classes' in head else ' (not given)'
    return Finding(f'{key}.num_classes: is {count}{given}, but {wanted.source}; it must be {must}.')


def _is_softmax(head: dict) -> bool:
    losses = head.get('loss_decode') or dict(type='CrossEntropyLoss')
    losses = losses if isinstance(losses, list | tuple) else [losses]
    return all(
        isinstance(loss, dict) and bare_type(loss.get('type')) == 'CrossEntropyLoss' and not loss.get('use_sigmoid')
        for loss in losses
    )


def _wrong_weights(key: str, head: dict, lengths: set[int] | None) -> Iterator[Finding]:
    """Find losses whose weights or number of classes are not the head's."""
    for name, losses in head.items():
        if lengths is None or not name.startswith('loss') or not isinstance(losses, dict | list | tuple):
            continue
        for i, loss in enumerate([losses] if isinstance(losses, dict) else losses):
            if not isinstance(loss, dict):
                continue
            place = f'{key}.{name}' if isinstance(losses, dict) else f'{key}.{name}.{i}'
            weights = loss.get('class_weight')
            must = ' or '.join(str(length) for length in sorted(lengths))
            if isinstance(weights, list | tuple) and len(weights) not in lengths:
                yield Finding(f'{place}.class_weight: has {counted(len(weights), "weight")}; it must have {must}.')
            count = loss.get('num_classes')
            if isinstance(count, int) and count not in lengths:
                yield Finding(f'{place}.num_classes: is {count}; it must be {min(lengths)}.')


HEADS = Check('heads', 'num_classes of the heads, and the classes of the dataset', find_in_heads)
