"""A resolved config as text, with where its values come from; and how two differ."""

import os
from pathlib import Path
from typing import Any

from convnext_dense.compat.configs.package_configs import SEPARATOR, configs_folder
from convnext_dense.config.load import load_config
from convnext_dense.config.resolved.origins import WORKED_OUT, origins
from convnext_dense.config.resolved.values import ABSENT, differences, same_differences, values_of
from convnext_dense.errors import UsageError
from convnext_dense.registry import SCOPE

PACKAGES = ('mmdet', 'mmseg', 'mmpretrain', SCOPE)


def config_text(
    path: str,
    key: str | None = None,
    cfg_options: dict | None = None,
    **asked: Any,  # noqa: ANN401 - as in `load_config`
) -> str:
    """Return the values of a config, grouped by where they come from.

    Args:
        path: The config, as in `load_config`.
        key: Below which key; all by default.
        cfg_options: As in `load_config`.
        **asked: Likewise: ``backbone`` and ``data``.

    Raises:
        UsageError: If it cannot be loaded, or has no such key.

    Example:
        >>> print(config_text('upernet_convnext-demo_demo-ade20k', 'train_cfg'))  # doctest: +ELLIPSIS
        train_cfg.type = 'IterBasedTrainLoop'  # ...
    """
    cfg, origin = origins(path, cfg_options, **asked)
    values = _below(values_of(cfg.to_dict()), key, path)
    lines, last = [], None
    for name, value in values.items():
        place = _readable(origin[name])
        # Said once for neighbors of one origin.
        lines.append(f'{name} = {value!r}' + ('' if place == last else f'  # {place}'))
        last = place
    return '\n'.join(lines)


def differences_text(
    path: str,
    other: str,
    key: str | None = None,
    cfg_options: dict | None = None,
    **asked: Any,  # noqa: ANN401 - as in `load_config`
) -> str:
    """Return the values in which two configs differ.

    Args:
        path: The first config, as in `load_config`.
        other: The second.
        key: Below which key; all by default.
        cfg_options: For both, as in `load_config`.
        **asked: Likewise.

    Raises:
        UsageError: If one cannot be loaded.

    Example:
        >>> name = 'upernet_convnext-demo_demo-ade20k'
        >>> print(differences_text(name, name))
        nothing differs
    """
    configs = [load_config(name, cfg_options=cfg_options, **asked).to_dict() for name in (path, other)]
    found = [
        part for part in differences(*configs) if key is None or _is_below(part.key, key) or _is_below(key, part.key)
    ]
    # By default it has the config's name.
    found = [part for part in found if part.key != 'work_dir']
    lines = []
    for keys, part in same_differences(found):
        lines.append(', '.join(keys))
        lines += [
            f'  {sign} {text}' for sign, value in (('-', part.first), ('+', part.second)) for text in _texts(value)
        ]
    return '\n'.join(lines) or 'nothing differs'


def _below(values: dict[str, Any], key: str | None, path: str) -> dict[str, Any]:
    kept = {name: value for name, value in values.items() if key is None or _is_below(name, key)}
    if not kept:
        raise UsageError(f'key: {path} has no {key}; its keys begin with {", ".join(dict.fromkeys(_tops(values)))}.')
    return kept


def _is_below(name: str, key: str) -> bool:
    return f'{name}.'.startswith(f'{key}.')


def _tops(values: dict[str, Any]) -> list[str]:
    return [name.partition('.')[0] for name in values]


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - any value
    """Return a value as text, each part of a list in its own line."""
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        return [_text(part) for part in value]
    return [_text(value)]


def _text(value: Any) -> str:  # noqa: ANN401 - any value
    """Return a value as it is written in a config."""
    if value is ABSENT:
        return '(not there)'
    if isinstance(value, dict) and value and all(str(key).isidentifier() for key in value):
        return f'dict({", ".join(f"{key}={_text(part)}" for key, part in value.items())})'
    return f'[{", ".join(map(_text, value))}]' if isinstance(value, list) else repr(value)


def _readable(place: str) -> str:
    """Return where a value is from: a file's name in its package, or from here; or an argument."""
    if place == WORKED_OUT or not Path(place).is_file():
        return place
    for package in PACKAGES:
        folder = configs_folder(package)
        if folder and Path(place).resolve().is_relative_to(folder.resolve()):
            return f'{package}{SEPARATOR}{Path(place).resolve().relative_to(folder.resolve())}'
    relative = os.path.relpath(place)
    return place if relative.startswith('..') else relative
