"""What modules count and remember while they train, in attributes that are no buffers.

Such are the size to which mmdet's YOLOX resizes its batches until the next is drawn, and the IoUs by which Dynamic
R-CNN adapts its threshold. No state dict has them.
"""

from typing import Any

from torch import nn

Attributes = dict[str, dict[str, Any]]
BUILT = '_attributes_when_built'
# They say how a module runs, not what it has seen.
LEFT_OUT = ('training', BUILT)


def note_attributes(model: nn.Module) -> None:
    """Note the plain attributes of a model's modules, before they are trained.

    Args:
        model: The model.
    """
    vars(model)[BUILT] = _attributes(model)


def changed_attributes(model: nn.Module) -> Attributes:
    """Return the plain attributes of a model's modules that changed since `note_attributes`, by module and name.

    Args:
        model: The model.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> note_attributes(model)
        >>> model.seen = 3
        >>> changed_attributes(model)
        {'': {'seen': 3}}
    """
    built = vars(model).get(BUILT)
    if built is None:
        return {}
    changed = {}
    for name, attributes in _attributes(model).items():
        before = built.get(name, {})
        new = {key: value for key, value in attributes.items() if key not in before or before[key] != value}
        if new:
            changed[name] = new
    return changed


def set_attributes(model: nn.Module, attributes: Attributes) -> None:
    """Set the attributes of a model's modules. Modules that it lacks are passed over.

    Args:
        model: The model.
        attributes: As `changed_attributes` returns them.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> set_attributes(model, {'': {'seen': 3}})
        >>> model.seen
        3
    """
    modules = dict(model.named_modules())
    for name, values in attributes.items():
        module = modules.get(name, nn.Module())
        # A checkpoint of someone else must not replace a method.
        plain = {key: value for key, value in values.items() if _is_plain(value) and not hasattr(type(module), key)}
        vars(module).update(plain)


def _attributes(model: nn.Module) -> Attributes:
    return {
        name: {key: _copy(value) for key, value in vars(module).items() if key not in LEFT_OUT and _is_plain(value)}
        for name, module in model.named_modules()
    }


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple) and all(_is_plain(part) for part in value)
    return value is None or type(value) in (bool, int, float, str)


def _copy(value: Any) -> Any:  # noqa: ANN401 - any plain value
    return type(value)(_copy(part) for part in value) if isinstance(value, list | tuple) else value
