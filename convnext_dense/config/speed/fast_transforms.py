"""Puts this package's faster transforms in the place of mmdet's, mmseg's and mmcv's."""

from mmengine.config import Config
from mmengine.registry import TRANSFORMS, Registry

from convnext_dense.config.tree import bare_type, typed_parts
from convnext_dense.datasets.checked_loading import is_a
from convnext_dense.registry import SCOPE

# Where a config has pipelines that are run.
PLACES = ('train_dataloader', 'val_dataloader', 'test_dataloader', 'custom_hooks', 'tta_pipeline')
# A package's transform, and the one of ours that takes the same arguments and gives the same.
FAST: dict[str, str] = {
    'mmdet.LoadAnnotations': 'LoadAnnotations',
    'mmdet.PackDetInputs': 'PackDetInputs',
    'mmdet.RandomFlip': 'RandomFlip',
    'mmseg.PhotoMetricDistortion': 'SegPhotoMetricDistortion',
    'mmseg.RandomCrop': 'SegRandomCrop',
    'mmseg.RandomFlip': 'SegRandomFlip',
}


def use_fast_transforms(cfg: Config) -> list[str]:
    """Replace the transforms of a config that have a faster form of the same result.

    Args:
        cfg: The config, which is changed. A transform that is derived from a known one stays as it is.

    Returns:
        The names of the transforms that were replaced, each once.

    Example:
        >>> use_fast_transforms(Config(dict(train_dataloader=dict(dataset=dict(pipeline=[dict(type='Mine')])))))
        []
    """
    known = {bare_type(name) for name in FAST}
    replaced = []
    for part in typed_parts([cfg.get(place) for place in PLACES]):
        if bare_type(part['type']) not in known:
            continue
        name = _replaced_name(part, cfg.get('default_scope'))
        if name:
            name_ours(part, FAST[name])
            replaced.append(name)
    return list(dict.fromkeys(replaced))


def _replaced_name(transform: dict, default_scope: str | None) -> str | None:
    """Return which transform of `FAST` a config names; None if it is another one of that name."""
    kind = find_class(transform, TRANSFORMS, default_scope)
    return next((name for name in FAST if is_a(kind, name, strictly=True)), None)


def name_ours(part: dict, name: str | None = None) -> None:
    """Make a part of a config this package's.

    Args:
        part: The part, which is changed.
        name: What it is registered as here. Defaults to its name there.

    Example:
        >>> part = dict(type='mmseg.IoUMetric')
        >>> name_ours(part)
        >>> part
        {'type': 'convnext_dense.IoUMetric'}
    """
    part['type'] = f'{SCOPE}.{name or bare_type(part["type"])}'
    part.pop('_scope_', None)


def is_exactly(part: dict, name: str, registry: Registry, default_scope: str | None) -> bool:
    """Return whether a part of a config is a class of another package, and not one derived from it.

    Args:
        part: The part, with a `type`.
        name: The package, a dot, and the class.
        registry: mmengine's registry of such parts.
        default_scope: The config's scope.

    Example:
        >>> is_exactly(dict(type='mmcv.Resize'), 'mmcv.Resize', TRANSFORMS, None)
        True
    """
    is_named_so = bare_type(part.get('type')) == bare_type(name)
    return is_named_so and is_a(find_class(part, registry, default_scope), name, strictly=True)


def find_class(part: dict, registry: Registry, default_scope: str | None) -> type | None:
    """Return the class that a part of a config names; None if there is none of this name.

    Args:
        part: The part, with a `type`.
        registry: mmengine's registry of such parts.
        default_scope: The config's scope.

    Example:
        >>> find_class(dict(type='mmcv.Resize'), TRANSFORMS, None).__module__
        'mmcv.transforms.processing'
    """
    kind = part['type']
    if not isinstance(kind, str):
        return kind
    with registry.switch_scope_and_registry(part.get('_scope_') or default_scope) as found:
        return found.get(kind)
