"""The configs of this package, each loaded and counted once however many tests look at it."""

import functools
import re
from pathlib import Path
from unittest import mock

import mmengine
import mmengine.config.config
import mmengine.config.utils
from mmengine.config import Config
from mmengine.utils import is_installed

from convnext_dense.analysis.complexity import Complexity, measure_complexity

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'
# For each base that is another package's, mmengine lists what is installed and parses all of that package's metafiles.
_is_installed = functools.cache(is_installed)
_load = functools.cache(mmengine.load)


def names(*folders):
    """The configs of these folders, or of all, as '<folder>/<file>'."""
    files = sorted(file for file in CONFIGS.glob('*/*.py') if file.parent.name != '_base_')
    return [f'{file.parent.name}/{file.name}' for file in files if not folders or file.parent.name in folders]


def read(file, **options) -> Config:
    """Load a config from anywhere."""
    with (
        mock.patch.object(mmengine.config.config, 'is_installed', _is_installed),
        mock.patch.object(mmengine.config.utils, 'load', _load),
    ):
        return Config.fromfile(file, **options)


@functools.cache
def config(name: str) -> Config:
    """A config of this package. Tests share it: copy before you change it."""
    return read(CONFIGS / name)


@functools.cache
def complexity(name: str) -> Complexity:
    return measure_complexity(config(name))


@functools.cache
def metafile(folder: str) -> dict:
    return mmengine.load(CONFIGS / folder / 'metafile.yml')


@functools.cache
def metadata() -> dict[str, dict]:
    """What the metafiles say of each config."""
    folders = [file.parent.name for file in CONFIGS.glob('*/metafile.yml')]
    return {model['Config'].removeprefix('configs/'): model for each in folders for model in metafile(each)['Models']}


@functools.cache
def readme_rows(folder: str) -> list[tuple[str, dict[str, str]]]:
    """The rows of a README's tables that link a config: the config, and the cells by their columns."""
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
