"""The package's configs and what is written about them. Each file is read once, however many tests look at it."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import mmengine
import pytest
from mmengine.config import Config

import convnext_dense  # noqa: F401 - finds the bases in mmdet and mmseg directly

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'


def names(*folders: str) -> list[str]:
    """Return the configs in these folders, or in all of them, as '<folder>/<file>'."""
    files = sorted(file for file in CONFIGS.glob('*/*.py') if file.parent.name != '_base_')
    return [f'{file.parent.name}/{file.name}' for file in files if not folders or file.parent.name in folders]


def tiers(names: list[str], fast: set[str]) -> list:
    """Return the names as test parameters: those in `fast` run in the fast tier, the others in the full one."""
    assert fast <= set(names), fast - set(names)
    return [pytest.param(name, id=name, marks=() if name in fast else pytest.mark.full) for name in names]


@functools.cache
def config(name: str) -> Config:
    """Return one of the package's configs. Tests share it: copy it before you change it."""
    return Config.fromfile(CONFIGS / name)


@functools.cache
def metafile(folder: str) -> dict:
    return mmengine.load(CONFIGS / folder / 'metafile.yml')


@functools.cache
def metadata() -> dict[str, dict]:
    """Return each config's entry in its metafile."""
    folders = [file.parent.name for file in CONFIGS.glob('*/metafile.yml')]
    models = [model for folder in folders for model in metafile(folder)['Models']]
    return {model['Config'].removeprefix('configs/'): model for model in models}


@functools.cache
def readme_rows(folder: str) -> list[tuple[str, dict[str, str]]]:
    """Return the rows of a README's tables that link a config: the config, and the row's cells by column."""
    rows, header = [], []
    for line in (CONFIGS / folder / 'README.md').read_text().splitlines():
        cells = [cell.strip() for cell in line.strip('|').split('|')] if line.startswith('|') else []
        if not cells:
            header = []
        elif not header:
            header = cells
        elif link := re.search(r'\]\(([^)/]+\.py)\)', line):
            rows.append((f'{folder}/{link[1]}', dict(zip(header, cells, strict=True))))
    return rows


def leaves(value: object, key: str = '') -> Iterator[tuple[str, object]]:
    """Yield a config's leaves by their dotted keys.

    A list of plain values is one leaf. Scopes, which only say where a type is registered, are left out.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            if name != '_scope_':
                yield from leaves(item, f'{key}.{name}' if key else name)
    elif isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value):
        for i, item in enumerate(value):
            yield from leaves(item, f'{key}[{i}]')
    else:
        yield key, list(value) if isinstance(value, tuple) else value


def without_scopes(value):
    """Drop the scopes of types: mmdet's own configs need none, ours are inherited from anywhere."""
    if isinstance(value, dict):
        return {key: without_scopes(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_scopes(item) for item in value]
    return value.removeprefix('mmdet.').removeprefix('mmseg.') if isinstance(value, str) else value


def differences(one: Config | dict, other: Config | dict) -> dict[str, object]:
    """Return the leaves of `other` that differ from those of `one`, with None for those that only `one` has."""
    one, other = (dict(leaves(cfg.to_dict() if isinstance(cfg, Config) else cfg)) for cfg in (one, other))
    return {key: other.get(key) for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
