"""Which blocks run by the kernels: where they can, and by default where a measurement found them faster."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.kernels import choice, use_kernels
from convnext_dense.layers import GRN, LayerNorm2d, can_fuse

BF16 = torch.bfloat16


@pytest.fixture
def x(device):
    return torch.randn(1, 96, 4, 8, device=device)


@pytest.fixture
def on_gpu(monkeypatch):
    """Return a map as it would be on a GPU of this name; nothing is computed."""
    monkeypatch.setattr(choice, 'runs_here', lambda x, dtype: True)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device: 'Some GPU')

    def make(*shape: int) -> SimpleNamespace:
        return SimpleNamespace(shape=shape, device=torch.device('cuda', 0), dtype=BF16)

    return make


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Have these speedups, by number of pixels, be what was measured."""

    def record(speedups: dict[int, float], **changes: object) -> None:
        common = dict(gpu='Some GPU', dtype='bfloat16', channels=96, grn=False, training=True, compiled=False)
        entries = [{**common, **changes, 'pixels': pixels, 'speedup': each} for pixels, each in speedups.items()]
        file = tmp_path / 'measurements.json'
        file.write_text(json.dumps(entries))
        monkeypatch.setattr(choice, 'MEASUREMENTS', file)
        choice._measurements.cache_clear()

    yield record
    choice._measurements.cache_clear()


class TestAuto:
    def test_takes_pytorch_where_nothing_was_measured(self, on_gpu, measured):
        measured({})
        assert not use_kernels('auto', on_gpu(2, 96, 200, 336), BF16, grn=False)

    def test_takes_what_was_faster_at_the_nearest_size(self, on_gpu, measured):
        measured({1000: 0.8, 100_000: 1.7})
        assert use_kernels('auto', on_gpu(2, 96, 200, 336), BF16, grn=False)
        assert not use_kernels('auto', on_gpu(2, 96, 20, 30), BF16, grn=False)

    @pytest.mark.parametrize(
        'change',
        [
            dict(gpu='Another GPU'),
            dict(dtype='float16'),
            dict(channels=192),
            dict(grn=True),
            dict(training=False),
            dict(compiled=True),
        ],
    )
    def test_takes_no_measurement_of_something_else(self, on_gpu, measured, change):
        measured({100_000: 1.7}, **change)
        assert not use_kernels('auto', on_gpu(2, 96, 200, 336), BF16, grn=False)

    def test_stays_on_pytorch_on_a_cpu(self, measured):
        measured({32: 2.0})
        assert not use_kernels('auto', torch.randn(1, 96, 4, 8), torch.float32, grn=False)

    def test_reads_the_measurements_that_the_package_carries(self):
        keys = {'gpu', 'dtype', 'channels', 'grn', 'training', 'compiled', 'pixels', 'speedup'}
        assert all(set(entry) == keys for entry in json.loads(choice.MEASUREMENTS.read_text()))


class TestTriton:
    def test_is_taken_where_it_can_run(self, x):
        assert can_fuse(x, LayerNorm2d(96), nn.GELU(), GRN(384), 'triton')

    @pytest.mark.parametrize(
        ('norm', 'act'),
        [
            (nn.BatchNorm2d(96), nn.GELU()),
            (LayerNorm2d(96), nn.ReLU()),
            (LayerNorm2d(96), nn.GELU(approximate='tanh')),
        ],
    )
    def test_is_not_taken_for_another_norm_or_activation(self, x, norm, act):
        assert not can_fuse(x, norm, act, nn.Identity(), 'triton')

    def test_is_not_taken_for_double_precision(self, x):
        assert not use_kernels('triton', x.double(), torch.float64, grn=False)

    def test_is_not_taken_when_pytorch_is_asked_for(self, x):
        assert not use_kernels('torch', x, torch.float32, grn=False)


def test_another_name_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"^kernels must be one of auto, triton, torch; got 'cuda'.$"):
        ConvNeXt('atto', kernels='cuda')


@pytest.mark.parametrize('triton', ['is there', 'is not there'])
def test_without_a_gpu_every_choice_is_pytorchs_and_silent(triton):
    """Also where there is no Triton, as on a Mac."""
    script = f"""
import sys
if {triton == 'is not there'}:
    sys.modules['triton'] = None
import torch
from convnext_dense.backbones import ConvNeXt
torch.cuda.is_available = lambda: False
image = torch.rand(1, 3, 32, 32)
maps = []
for kernels in ('torch', 'triton', 'auto'):
    torch.manual_seed(0)
    maps.append(ConvNeXt(dict(depths=[1], channels=[8]), out_indices=0, kernels=kernels)(image)[0])
assert torch.equal(maps[0], maps[1]) and torch.equal(maps[0], maps[2])
"""
    run = subprocess.run(
        [sys.executable, '-W', 'error::UserWarning:convnext_dense', '-c', script],
        env={**__import__('os').environ, 'TRITON_INTERPRET': '0'},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert 'triton' not in run.stderr.lower()
