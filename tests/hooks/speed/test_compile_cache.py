"""PyTorch's cache after a compile that was killed."""

import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from helpers.demo_runs import ROOT
from hypothesis import given
from hypothesis import strategies as st
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from convnext_dense.datasets.cache import folder as cache
from convnext_dense.hooks.speed import compile_cache
from convnext_dense.hooks.speed.compile_cache import VARIABLE, is_whole, prepare_cache, recover_cache

KEY = f'c{"a2" * 25}b'
# What CompileHook does, with a layer for a model.
COMPILES = """
import torch
from torch import nn
from convnext_dense.hooks.speed.compile_cache import prepare_cache
from convnext_dense.hooks.speed.compile_hook import CompiledForward

prepare_cache()
layer = nn.Sequential(nn.Linear(4, 8), nn.GELU())
expected = layer(torch.ones(2, 4))
layer.forward = CompiledForward(layer, dict(dynamic=True, backend='inductor'))
with torch.no_grad():
    assert torch.allclose(layer(torch.ones(2, 4)), expected, atol=1e-6)
"""


def write_library(body: bytes = b'code', count: int = 3) -> bytes:
    """An ELF file as a linker writes it: a header of 64 bytes, the code, and last the table of sections."""
    header = struct.pack('<4s12xHHIQQQIHHHHHH', b'\x7fELF', 3, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, count, 0)
    return header.replace(bytes(4), b'\2\1\1\0', 1) + body + bytes(64 * count)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """PyTorch's cache."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / 'cache'))
    (tmp_path / 'cache' / KEY[1:3]).mkdir(parents=True)
    return tmp_path / 'cache'


@pytest.fixture
def said(monkeypatch):
    """What was logged."""
    said = []
    monkeypatch.setattr(compile_cache, 'print_log', lambda message, **options: said.append(message))
    return said


class TestIsWhole:
    def test_of_a_library(self):
        assert is_whole(Path(torch._C.__file__))

    @given(body=st.binary(max_size=300), count=st.integers(1, 40), data=st.data())
    def test_of_any_beginning_of_one(self, body, count, data):
        library = write_library(body, count)
        length = data.draw(st.integers(0, len(library) - 1))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, 'x.so')
            file.write_bytes(library)
            assert is_whole(file)
            os.truncate(file, length)
            assert not is_whole(file)

    def test_of_zeros(self, tmp_path):
        (tmp_path / 'x.so').write_bytes(bytes(1000))
        assert not is_whole(tmp_path / 'x.so')


class TestPrepareCache:
    def test_deletes_half_files_and_says_so_once(self, folder, said):
        half, whole = folder / KEY[1:3] / f'{KEY}.main.so', folder / f'{KEY}.so'
        half.write_bytes(write_library()[:100])
        whole.write_bytes(write_library())
        assert prepare_cache() == folder
        assert not half.exists()
        assert whole.exists()
        assert said[1:] == [
            f'compile: a compile that was killed has left {half}, not whole; deleted, and compiled again.'
        ]
        prepare_cache()
        assert said[3:] == []
        assert str(folder) in said[0]

    def test_leaves_what_another_process_is_writing(self, folder, said):
        half = folder / KEY[1:3] / f'{KEY}.main.so'
        half.write_bytes(b'\x7fELF')
        (folder / 'locks').mkdir()
        with FileLock(folder / 'locks' / f'{KEY}.lock'):
            prepare_cache()
        assert half.exists()
        prepare_cache()
        assert not half.exists()

    @pytest.mark.parametrize('before', ['', default_cache_dir()], ids=['not set', 'set by PyTorch'])
    def test_has_a_place_of_its_own(self, before, tmp_path, monkeypatch, said):
        monkeypatch.setenv(VARIABLE, before)
        monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
        assert prepare_cache() == tmp_path / 'compiled'


class TestRecoverCache:
    @pytest.fixture(autouse=True)
    def _nothing_recovered(self, monkeypatch):
        monkeypatch.setattr(compile_cache, '_recovered', set())

    @pytest.mark.parametrize(
        'error',
        [
            ImportError(f'/x/{KEY}.main.so: file too short'),
            SyntaxError(f'source code string cannot contain null bytes ({KEY}.py)'),
            RuntimeError(f'g++ -include /x/{KEY}.h: fatal error: cannot read PCH file'),
        ],
    )
    def test_deletes_what_the_error_names_once(self, error, folder, said):
        named, other = folder / KEY[1:3] / f'{KEY}.py', folder / KEY[1:3] / 'other.py'
        for is_first in (True, False):
            named.touch()
            other.touch()
            wrapped = RuntimeError('backend=inductor raised')
            wrapped.__cause__ = error
            assert recover_cache(wrapped) == is_first
        assert len(said) == 1
        assert named.exists()
        assert other.exists()

    def test_leaves_other_errors_alone(self, folder, said):
        (folder / KEY[1:3] / f'{KEY}.py').touch()
        assert not recover_cache(RuntimeError(f'{KEY}.py: no kernel image is available'))
        assert not recover_cache(torch.OutOfMemoryError('CUDA out of memory'))


@pytest.mark.skipif(not shutil.which('g++'), reason='generates C++')
class TestRuns:
    @pytest.fixture(autouse=True)
    def _places(self, tmp_path):
        self.folder = tmp_path
        # Precompiled headers are in the temporary folder.
        self.environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'TMPDIR': str(tmp_path)}
        self.environment[cache.VARIABLE] = str(tmp_path / 'cache')
        self.environment.pop(VARIABLE, None)

    def start(self) -> subprocess.Popen:
        out = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return subprocess.Popen([sys.executable, '-c', COMPILES], env=self.environment, start_new_session=True, **out)

    def run(self) -> int:
        """Run to the end; return how often half files were deleted."""
        process = self.start()
        out = process.communicate()[0]
        assert process.returncode == 0, out
        return out.count('compiled again')

    def cut(self, pattern: str, length: int) -> None:
        files = [
            *(self.folder / 'cache' / 'compiled').rglob(pattern),
            *self.folder.glob(f'torchinductor_*/*/{pattern}'),
        ]
        assert files
        for file in files:
            os.truncate(file, length)

    @pytest.mark.e2e
    def test_survive_files_that_were_cut_short(self):
        assert self.run() == 0
        self.cut('*.so', 1000)
        assert self.run() == 1
        self.cut('*.py', 500)
        assert self.run() == 1
        self.cut('*.gch', 10_000_000)
        self.cut('*.so', 0)
        assert self.run() == 2
        assert self.run() == 0

    @pytest.mark.full
    def test_survive_compiles_that_were_killed(self):
        for seconds in range(4, 20, 2):
            process = self.start()
            time.sleep(seconds)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        self.run()
        assert self.run() == 0
