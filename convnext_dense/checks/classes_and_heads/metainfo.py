"""What is wrong with a dataset's `metainfo` as a config writes it, before a dataset is built from it."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from convnext_dense.config.tree import bare_type
from convnext_dense.datasets.annotations.coco_file import repeated
from convnext_dense.datasets.annotations.wording import names
from convnext_dense.wording import counted

# What classes are called elsewhere: in mmdet 2, in JSON, in other libraries.
OTHER_NAMES = ('CLASSES', 'Classes', 'class', 'class_names', 'classnames', 'names', 'categories')


def wrong_metainfo(key: str, dataset: dict, own_metainfo: dict, needs_subset: bool) -> Iterator[str]:
    """Yield a sentence for each fault of a dataset's `metainfo`.

    Args:
        key: The dataset's place in the config.
        dataset: Its config.
        own_metainfo: ``METAINFO`` of its class.
        needs_subset: Whether it takes none but its class's names, as mmseg's datasets do.

    Example:
        >>> next(wrong_metainfo('dataset', dict(metainfo=dict(classes='cat')), {}, needs_subset=False))
        "dataset.metainfo.classes: is the text 'cat', whose letters would be the classes; write classes=('cat',)."
    """
    metainfo = dataset.get('metainfo') or {}
    place = f'{key}.metainfo'
    if not isinstance(metainfo, dict):
        yield f'{place}: must be a dict, such as dict(classes=(...)); it is {metainfo!r:.60}.'
        return
    classes = metainfo.get('classes')
    if classes is None:
        for name in OTHER_NAMES:
            if name in metainfo:
                yield f'{place}.{name}: nothing reads it; name it classes.'
        return
    if isinstance(classes, str):
        # mmengine reads a file of names.
        if not Path(classes).is_file():
            yield (
                f'{place}.classes: is the text {classes!r}, whose letters would be the classes; write '
                f'classes=({classes!r},).'
            )
        return
    if not isinstance(classes, list | tuple):
        yield f'{place}.classes: must be a tuple of names; it is {classes!r:.60}.'
        return
    yield from _wrong_names(f'{place}.classes', classes)
    own_classes = own_metainfo.get('classes')
    if needs_subset and own_classes and (unknown := [name for name in classes if name not in own_classes]):
        kind = bare_type(dataset.get('type'))
        yield (
            f"{place}.classes: {names(unknown)} {_is(unknown)} not among {kind}'s own"
            f"{nearest(unknown[0], own_classes)}; for other classes use type='mmseg.BaseSegDataset'."
        )
    palette = metainfo.get('palette')
    if isinstance(palette, list | tuple) and len(palette) < len(classes):
        has = f'has {counted(len(palette), "color")} for {counted(len(classes), "class")}'
        yield f'{place}.palette: {has}; it must have one for each.'


def _wrong_names(place: str, classes: Sequence) -> Iterator[str]:
    if not classes:
        yield f'{place}: is empty; it must name the classes.'
    elif wrong := [name for name in classes if not isinstance(name, str)]:
        yield f'{place}: {wrong[0]!r} is no name; each class must be a text.'
    elif twice := repeated(list(classes)):
        yield f'{place}: names {twice[0]!r} twice; each class must be there once.'


def nearest(name: str, allowed: Sequence[str]) -> str:
    """Return ': the nearest is ...', or nothing if no name is near.

    Example:
        >>> nearest('Circle', ['square', 'circle'])
        " (the nearest is 'circle')"
    """
    by_lower = {other.strip().lower(): other for other in allowed}
    matches = get_close_matches(name.strip().lower(), by_lower, n=1)
    return f' (the nearest is {by_lower[matches[0]]!r})' if matches else ''


def _is(values: Sequence) -> str:
    return 'is' if len(values) == 1 else 'are'
