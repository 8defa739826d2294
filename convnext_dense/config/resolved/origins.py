"""Which file, or which argument, each value of a config comes from."""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from mmengine.config import Config

from convnext_dense.config.bases import base_files
from convnext_dense.config.find import find_config
from convnext_dense.config.load import load_config
from convnext_dense.config.resolved.values import values_of

# What `load_config` sets in every config.
WORKED_OUT = 'worked out'


def origins(path: str, cfg_options: dict | None = None, **asked: Any) -> tuple[Config, dict[str, str]]:  # noqa: ANN401
    """Load a config, and find where each of its values comes from.

    Args:
        path: As in `load_config`.
        cfg_options: Likewise.
        **asked: What else `load_config` is asked for, such as ``backbone`` and ``data``.

    Returns:
        The config, and for each key of `values_of` the last file that sets it, the argument that changed it, or
        'worked out' where it follows from others.

    Raises:
        UsageError: As `load_config` does.

    Example:
        >>> cfg, found = origins('upernet_convnext-demo_demo-ade20k', {'train_cfg.max_iters': 10})
        >>> found['train_cfg.max_iters'], Path(found['model.backbone.type']).name
        ('cfg_options', 'upernet_convnext.py')
    """
    file = find_config(path)
    steps = [{name: value} for name, value in asked.items() if value not in (None, False, '')]
    steps += [dict(cfg_options=cfg_options)] if cfg_options else []
    with redirect_stdout(io.StringIO()):
        # What is said of it is said once, below.
        before = values_of(load_config(path).to_dict())
    found = _in_files(file, {})
    origin = {key: _file_of(key, value, found) for key, value in before.items()}
    given: dict[str, Any] = {}
    for step in steps:
        given |= step
        with redirect_stdout(io.StringIO()):
            values = values_of(load_config(path, **given).to_dict())
        origin |= {key: name for name in step for key in values if key not in before or before[key] != values[key]}
        before = values
    return load_config(path, **given), {key: origin[key] for key in before}


def _file_of(key: str, value: Any, found: dict[str, tuple[Any, Path]]) -> str:  # noqa: ANN401 - any value
    known = found.get(key)
    return str(known[1]) if known and known[0] == value else WORKED_OUT


def _in_files(file: Path, read: dict[Path, dict]) -> dict[str, tuple[Any, Path]]:
    """Return each value of a file and its bases, and the file that it is from."""
    if file in read:
        return read[file]
    inherited: dict[str, tuple[Any, Path]] = {}
    for base in base_files(file):
        inherited |= _in_files(base, read)
    values = values_of(Config.fromfile(str(file), import_custom_modules=False).to_dict())
    read[file] = {
        key: inherited[key] if key in inherited and inherited[key][0] == value else (value, file)
        for key, value in values.items()
    }
    return read[file]
