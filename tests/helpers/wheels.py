"""This package as a wheel."""

import shutil
import subprocess
import sys
from pathlib import Path

from helpers.demo_runs import ROOT

LEFT_OUT = {'.git', '.venv', 'data', 'work_dirs', 'build', 'convnext_dense.egg-info'}


def build_wheel(folder: Path) -> Path:
    """Build the package's wheel in a folder."""
    # Copied, because building leaves files behind.
    source = folder / 'convnext_dense'

    def ignore(folder: str, names: list[str]) -> set[str]:
        return {'__pycache__'} | (LEFT_OUT if Path(folder) == ROOT else set())

    shutil.copytree(ROOT, source, symlinks=True, ignore=ignore)
    build = 'import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])'
    subprocess.run([sys.executable, '-c', build, folder], cwd=source, check=True, capture_output=True)
    (wheel,) = folder.glob('convnext_dense-*.whl')
    return wheel
