"""Fixtures that several tests share."""

import functools
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
import torch

# Before Triton is imported: without a GPU, its kernels run in its interpreter, on the CPU.
if not torch.cuda.is_available():
    os.environ['TRITON_INTERPRET'] = '1'

from helpers.commands import run_command

import convnext_dense  # noqa: F401 - registers everything, and provides mmcv.ops
from convnext_dense.datasets.demo import DemoSpec, make_demo_data

# The demo's data, and its models of random weights.
pytest_plugins = ['helpers.random_fixtures']

ROOT = Path(__file__).resolve().parents[1]
# Two processes of these tests at a time would otherwise take all cores each.
THREADS = 1 if 'PYTEST_XDIST_WORKER' in os.environ else 2
torch.set_num_threads(THREADS)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(autouse=True)
def _own_threads() -> Generator[None]:
    """Undo what a test, such as one of a benchmark, does to the threads: sums of others round otherwise then."""
    yield
    torch.set_num_threads(THREADS)


class Opens:
    """Pickles to a call that makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), 'w')


@pytest.fixture
def code():
    """Return an object whose pickle, when read, makes a file at the given path."""
    return Opens


@pytest.fixture
def save(tmp_path: Path):
    """Save a checkpoint as its publisher does, and return its path."""

    def save_as(content: object, name: str = 'weights.pth') -> str:
        torch.save(content, tmp_path / name)
        return str(tmp_path / name)

    return save_as


@pytest.fixture(scope='session')
def goldens() -> dict[str, torch.Tensor]:
    """Outputs of compiled mmcv 2.1.0; tests/goldens/README.md says of which calls."""
    file = np.load(ROOT / 'tests' / 'goldens' / 'mmcv_ops.npz')
    return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(scope='session')
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``data/demo`` holds a small demo dataset, as the demo configs expect it."""
    folder = tmp_path_factory.mktemp('demo')
    make_demo_data(folder / 'data' / 'demo', DemoSpec(num_train=16, num_val=8))
    return folder


@pytest.fixture
def command(demo_data: Path):
    """Run `convnext-dense ARGUMENTS` in the folder of the demo data, in this process."""
    return functools.partial(run_command, demo_data)


@pytest.fixture(scope='session')
def run_python(demo_data: Path):
    """Run Python with these arguments in the folder of the demo data, in a process of its own."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, '-W', 'ignore', *map(str, arguments)],
            cwd=demo_data,
            env={**os.environ, 'OMP_NUM_THREADS': str(THREADS), 'TRITON_INTERPRET': '0', **environment},
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run
