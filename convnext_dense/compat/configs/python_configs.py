"""Writes a pure-Python config, whose types are classes and functions, as one whose types are names."""

from types import BuiltinFunctionType, FunctionType

from mmengine.config import Config
from mmengine.config.lazy import LazyAttr, LazyObject
from mmengine.registry import DefaultScope, Registry, root

TASKS = ('mmdet', 'mmseg')
# mmengine's own registries also have PyTorch's and mmcv's classes.
ROOT_PACKAGES = ('mmengine', 'mmcv', 'torch')

Names = dict[int, list[tuple[Registry, str, str]]]


def with_names(cfg: Config) -> Config:
    """Return a config of mmengine's pure-Python style as a plain one.

    What is registered gets its name, as in the configs of text style. Other classes and functions get their place, such
    as ``my_project.models.MyHead``, which mmengine imports. If `default_scope` is None, the model's class tells it.

    Args:
        cfg: As ``Config.fromfile`` returns it, of either style.

    Raises:
        ImportError: If something that it imports is not there.

    Example:
        >>> import mmcv.cnn  # registers GELU
        >>> with_names(Config(dict(layer=LazyObject('torch.nn', 'GELU'), depth=3))).to_dict()
        {'layer': 'GELU', 'depth': 3, 'default_scope': None}
    """
    tree = {key: _built(value) for key, value in cfg._to_lazy_dict().items()}
    given = tree.get('default_scope')
    tree['default_scope'] = scope = given if isinstance(given, str) else _scope(tree.get('model'))
    names = _registered_names()
    with DefaultScope.overwrite_default_scope(scope):
        return Config({key: _named(value, names) for key, value in tree.items()}, filename=cfg.filename)


def _built(tree: object) -> object:
    match tree:
        case LazyObject() | LazyAttr():
            return tree.build()
        case dict():
            return {key: _built(value) for key, value in tree.items()}
        case list():
            return [_built(value) for value in tree]
        case tuple():
            return tuple(_built(value) for value in tree)
    return tree


def _scope(model: object) -> str | None:
    kind = model.get('type') if isinstance(model, dict) else None
    packages = [base.__module__.partition('.')[0] for base in getattr(kind, '__mro__', ())]
    return next((package for package in packages if package in TASKS), None)


def _registered_names() -> Names:
    """Return the registries, scopes and names of what is registered, by its identity."""
    found: Names = {}
    for registry in vars(root).values():
        if isinstance(registry, Registry):
            for part in (registry, *registry.children.values()):
                for name, component in part.module_dict.items():
                    found.setdefault(id(component), []).append((registry, part.scope, name))
    return found


def _named(tree: object, names: Names) -> object:
    match tree:
        case dict():
            return {key: _named(value, names) for key, value in tree.items()}
        case list():
            return [_named(value, names) for value in tree]
        case tuple():
            return tuple(_named(value, names) for value in tree)
        case type() | FunctionType() | BuiltinFunctionType():
            return _name(tree, names)
    return tree


def _name(component: type | FunctionType | BuiltinFunctionType, names: Names) -> str:
    package = component.__module__.partition('.')[0]
    for registry, scope, name in names.get(id(component), []):
        # What is registered by another package is known only where that is imported.
        if package in (ROOT_PACKAGES if scope == 'mmengine' else (scope,)):
            with registry.switch_scope_and_registry(None) as current:
                return name if current.get(name) is component else f'{scope}.{name}'
    # mmdet and mmseg look up mmcv's operators there by name.
    if component.__module__.startswith('mmcv.ops.'):
        return component.__name__
    return f'{component.__module__}.{component.__qualname__}'
