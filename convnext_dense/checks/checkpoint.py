"""Looks for a checkpoint that a run cannot load, or that means other classes than the run's data."""

from collections.abc import Iterator, Mapping, Sequence

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.errors import CheckpointError
from convnext_dense.weights.matching import describe_diverged, printable, shorten
from convnext_dense.weights.storage.checksums import verify_checksums
from convnext_dense.wording import counted


def find(plan: RunPlan) -> Iterator[Finding]:
    """Look at the weights, and at the class names that mmengine saves with them."""
    if not plan.checkpoint:
        return
    try:
        content = plan.content
        verify_checksums(plan.checkpoint)
    except CheckpointError as error:
        yield Finding(f'{_key(plan)}: {error}')
        return
    weights = content.get('state_dict', content)
    if not isinstance(weights, Mapping) or not all(isinstance(name, str) for name in weights):
        yield Finding(f'{_key(plan)}: {plan.checkpoint} holds no weights by name; give a checkpoint of a training.')
        return
    if problem := describe_diverged(weights, plan.checkpoint):
        yield Finding(f'{_key(plan)}: {problem}')
    yield from _compare_classes(plan, saved_classes(content))


CHECKPOINT = Check('checkpoint', "the checkpoint's weights and class names", find)


def saved_classes(content: dict) -> list[str] | None:
    """Return the class names that a checkpoint was trained on, or None if it does not say.

    Example:
        >>> saved_classes(dict(meta=dict(dataset_meta=dict(classes=('cat', 'dog')))))
        ['cat', 'dog']
    """
    meta = content.get('meta')
    meta = meta if isinstance(meta, dict) else {}
    # mmdet 2 and mmseg 0 keep them in `meta` itself.
    for part in (meta.get('dataset_meta'), meta):
        for key in ('classes', 'CLASSES'):
            classes = part.get(key) if isinstance(part, dict) else None
            if isinstance(classes, list | tuple) and classes and all(isinstance(name, str) for name in classes):
                return list(classes)
    return None


def _compare_classes(plan: RunPlan, saved: list[str] | None) -> Iterator[Finding]:
    is_test = 'test' in plan.splits
    # A run that resumes says by the check `resume` what differs.
    if saved is None or plan.cfg.get('resume') or plan.is_open_vocabulary:
        return
    for dataset in plan.datasets:
        own = dataset.classes
        if not own or _plain(own) == _plain(saved) or dataset.split not in ('test', 'train'):
            continue
        if is_test:
            yield Finding(
                f'{dataset.key}: its classes are {_show(own)}, and {plan.checkpoint} was trained on {_show(saved)}: '
                f'{_difference(own, saved)}; test it on the classes that it was trained on, in that order.'
            )
        # A head for another number of classes does not load at all.
        elif len(own) == len(saved):
            yield Finding(
                f'load_from: {plan.checkpoint} was trained on {_show(saved)}, and {dataset.key} has {_show(own)}: '
                f'{_difference(own, saved)}; its heads fit, and start from the weights of other classes.',
                is_error=False,
            )
            return


def _key(plan: RunPlan) -> str:
    """Return what the checkpoint was given as."""
    if 'test' in plan.splits:
        return 'checkpoint'
    return 'resume' if plan.cfg.get('resume') else 'load_from'


def _plain(classes: Sequence[str]) -> list[str]:
    """Leave aside how a name is spelled: mmdet and mmseg themselves have changed that."""
    return [name.strip().lower().replace('_', ' ').replace('-', ' ') for name in classes]


def _difference(own: list[str], saved: list[str]) -> str:
    if len(own) != len(saved):
        return f'{counted(len(own), "class")} instead of {len(saved)}'
    if sorted(_plain(own)) == sorted(_plain(saved)):
        return 'the order differs'
    differing = [i for i, (a, b) in enumerate(zip(_plain(own), _plain(saved), strict=True)) if a != b]
    return printable(f'class {differing[0]} is {own[differing[0]]!r} instead of {saved[differing[0]]!r}')


def _show(classes: list[str]) -> str:
    return f'({shorten(classes)})'
