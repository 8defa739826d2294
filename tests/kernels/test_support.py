"""Where the kernels run: on a recent GPU with Triton and a compiler, or in Triton's interpreter."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from convnext_dense.kernels import devices
from convnext_dense.kernels.devices import _can_build_launcher, has_triton, is_supported_device
from convnext_dense.kernels.numerics import product_precision
from convnext_dense.kernels.support import is_supported

GPU = torch.device('cuda')


@pytest.fixture(autouse=True)
def _no_cached_answers():
    for function in (has_triton, _can_build_launcher):
        function.cache_clear()
    yield
    for function in (has_triton, _can_build_launcher):
        function.cache_clear()


class TestGpu:
    @pytest.fixture(autouse=True)
    def _hopper(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (9, 0))
        monkeypatch.setattr(devices, 'has_triton', lambda: True)
        monkeypatch.setattr(devices, 'has_compiler', lambda *_: True)
        monkeypatch.setattr(devices, 'python_header', lambda: Path(__file__))

    def test_runs_the_kernels(self):
        assert is_supported_device(GPU)

    def test_from_before_ampere_does_not(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (7, 5))
        assert not is_supported_device(GPU)

    def test_without_triton_does_not(self, monkeypatch):
        monkeypatch.setattr(devices, 'has_triton', lambda: False)
        assert not is_supported_device(GPU)

    def test_without_compiler_does_not_and_logs_it_once(self, monkeypatch):
        logged = []
        monkeypatch.setattr(devices, 'has_compiler', lambda *_: False)
        monkeypatch.setattr(devices, 'print_log', lambda message, **_: logged.append(message))
        assert not any(is_supported_device(GPU) for _ in range(2))
        assert len(logged) == 1
        assert 'Triton needs a C compiler' in logged[0]


class TestCpu:
    @pytest.mark.parametrize('interpreted', [True, False])
    def test_runs_the_kernels_in_the_interpreter_only(self, monkeypatch, interpreted):
        pytest.importorskip('triton')
        monkeypatch.setenv('TRITON_INTERPRET', str(int(interpreted)))
        assert is_supported(torch.zeros(2)) == interpreted

    def test_does_not_run_float64(self):
        assert not is_supported(torch.zeros(2, dtype=torch.float64))
        assert not is_supported(torch.zeros(2), torch.float64)


@pytest.mark.parametrize('version', [None, '', 'unknown', '3.2.0'])
def test_an_old_or_false_triton_counts_as_none(monkeypatch, version):
    attributes = {} if version is None else {'__version__': version}
    monkeypatch.setitem(sys.modules, 'triton', SimpleNamespace(__spec__=object(), **attributes))
    assert not has_triton()


@pytest.mark.parametrize('setting', [None, 'allow_tf32', 'fp32_precision'])
def test_products_of_float32_follow_pytorchs_setting(setting):
    matmul = torch.backends.cuda.matmul
    if setting:
        if not hasattr(matmul, setting):
            pytest.skip('PyTorch before 2.9')
        before = getattr(matmul, setting)
        setattr(matmul, setting, True if setting == 'allow_tf32' else 'tf32')
    try:
        precision = product_precision(torch.float32)
        assert product_precision(torch.bfloat16) == 'ieee'
    finally:
        if setting:
            setattr(matmul, setting, before)
    assert precision == ('tf32' if setting else 'ieee')
