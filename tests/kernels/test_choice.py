"""Which blocks run by the kernels: where they can, and by default where a measurement found them faster."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.testing._internal.two_tensor import TwoTensor

from convnext_dense.backbones import ConvNeXt
from convnext_dense.kernels import choice, use_kernels
from convnext_dense.kernels import support as availability
from convnext_dense.kernels.support import has_triton
from convnext_dense.layers import PointwiseLinear, can_fuse

BF16 = torch.bfloat16


@pytest.fixture
def x(device):
    return torch.randn(1, 96, 4, 8, device=device)


@pytest.fixture
def block(device):
    return ConvNeXt('tiny', kernels='triton').stages[0][0].to(device)


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
        assert not use_kernels('auto', on_gpu(2, 96, 200, 336), BF16, 96, grn=False)

    def test_takes_what_was_faster_at_the_nearest_size(self, on_gpu, measured):
        measured({1000: 0.8, 100_000: 1.7})
        assert use_kernels('auto', on_gpu(2, 96, 200, 336), BF16, 96, grn=False)
        assert not use_kernels('auto', on_gpu(2, 96, 20, 30), BF16, 96, grn=False)

    def test_takes_no_measurement_of_maps_much_smaller_or_larger(self, on_gpu, measured):
        measured({10_000: 1.7})
        taken = [use_kernels('auto', on_gpu(1, 96, side, side), BF16, 96, grn=False) for side in (40, 60, 190, 210)]
        assert taken == [False, True, True, False]

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
        assert not use_kernels('auto', on_gpu(2, 96, 200, 336), BF16, 96, grn=False)

    def test_takes_no_measurement_of_exact_products_where_they_are_rounded(self, on_gpu, measured, monkeypatch):
        measured({100_000: 1.7}, dtype='float32')
        x = on_gpu(2, 96, 200, 336)
        assert use_kernels('auto', x, torch.float32, 96, grn=False)
        monkeypatch.setattr(choice, 'measured_as', lambda dtype: 'tf32')
        assert not use_kernels('auto', x, torch.float32, 96, grn=False)

    def test_looks_for_no_triton_where_nothing_was_measured(self, on_gpu, measured, monkeypatch):
        def fail(*_):
            raise AssertionError

        monkeypatch.setattr(choice, 'runs_here', fail)
        measured({})
        assert not use_kernels('auto', on_gpu(2, 96, 200, 336), BF16, 96, grn=False)

    def test_stays_on_pytorch_on_a_cpu(self, measured):
        measured({32: 2.0})
        assert not use_kernels('auto', torch.randn(1, 96, 4, 8), torch.float32, 96, grn=False)

    def test_reads_the_measurements_that_the_package_carries(self):
        keys = {'gpu', 'dtype', 'channels', 'grn', 'training', 'compiled', 'pixels', 'speedup'}
        assert all(set(entry) == keys for entry in json.loads(choice.MEASUREMENTS.read_text()))


@pytest.mark.parametrize('speedups', [{}, {32: 2.0}])
def test_what_is_compiled_goes_by_what_was_measured_of_compiled_blocks(block, x, measured, monkeypatch, speedups):
    original, operators = choice._measured_faster, []

    @torch.compiler.assume_constant_result
    def as_on_gpu(device, *arguments):
        return original(torch.device('cuda', 0), *arguments)

    def backend(graph, _):
        operators.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    monkeypatch.setattr(choice, '_measured_faster', as_on_gpu)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device: 'Some GPU')
    measured(speedups, dtype='float32', compiled=True)
    block.kernels = 'auto'
    torch._dynamo.reset()
    torch.compile(block, backend=backend, fullgraph=True)(x)
    assert any('pointwise_mlp' in operator for operator in operators) == bool(speedups)


class TestTriton:
    def test_is_taken_for_the_plain_block(self, block, x):
        assert can_fuse(block, x)

    @pytest.mark.parametrize(
        'change',
        [
            dict(norm=nn.BatchNorm2d(96)),
            dict(act=nn.ReLU()),
            dict(act=nn.GELU(approximate='tanh')),
            dict(pwconv1=nn.Sequential(PointwiseLinear(96, 384))),
            dict(pwconv2=PointwiseLinear(384, 96, bias=False)),
            dict(dwconv=nn.Conv2d(96, 96, 7, padding=6, dilation=2, groups=96)),
            dict(dwconv=nn.Conv2d(96, 96, 7, padding=3, groups=96, padding_mode='reflect')),
            dict(dwconv=nn.Conv2d(96, 96, 13, padding=6, groups=96)),
            dict(dwconv=nn.Conv2d(96, 96, 3, padding=1)),
            dict(drop_path=nn.Identity()),
        ],
        ids=[
            'norm',
            'activation',
            'approximate',
            'wrapped layer',
            'no bias',
            'dilated',
            'padded by reflection',
            'too large',
            'not depthwise',
            'no drop path',
        ],
    )
    def test_is_not_taken_for_another_one(self, block, x, change):
        for name, module in change.items():
            setattr(block, name, module)
        assert not can_fuse(block, x)

    def test_is_taken_for_a_convolution_of_another_size(self, block, x):
        block.dwconv = nn.Conv2d(96, 96, 11, padding=5, groups=96)
        assert can_fuse(block, x)

    def test_is_not_taken_where_a_hook_waits_for_a_layers_output(self, block, x):
        seen = []
        block.act.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
        block(x)
        assert seen == [(1, 4, 8, 384)]

    def test_is_not_taken_where_a_layers_forward_was_replaced(self, block, x):
        """As libraries do that move weights to the GPU when they are needed."""
        block.pwconv1.forward = block.pwconv1.forward
        assert not can_fuse(block, x)

    def test_is_not_taken_for_weights_of_a_kind_of_their_own(self, block, x):
        weight = TwoTensor(block.pwconv1.weight.detach(), block.pwconv1.weight.detach())
        block.pwconv1.weight = nn.Parameter(weight)
        assert not can_fuse(block, x)

    def test_is_not_taken_for_double_precision(self, block, x):
        assert not can_fuse(block, x.double())

    def test_is_not_taken_when_pytorch_is_asked_for(self, block, x):
        block.kernels = 'torch'
        assert not can_fuse(block, x)


class TestAGpu:
    @pytest.fixture(autouse=True)
    def _gpu(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (9, 0))
        monkeypatch.setattr(availability, 'has_triton', lambda: True)
        availability._can_build.cache_clear()
        yield
        availability._can_build.cache_clear()

    def test_runs_the_kernels(self, monkeypatch):
        monkeypatch.setattr(availability, 'has_compiler', lambda *_: True)
        monkeypatch.setattr(availability, 'python_header', lambda: Path(__file__))
        assert availability._device_runs(torch.device('cuda'))

    def test_of_before_ampere_does_not(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (7, 5))
        assert not availability._device_runs(torch.device('cuda'))

    def test_without_a_compiler_does_not_and_says_so_once(self, monkeypatch):
        said = []
        monkeypatch.setattr(availability, 'has_compiler', lambda *_: False)
        monkeypatch.setattr(availability, 'print_log', lambda message, **_: said.append(message))
        assert not any(availability._device_runs(torch.device('cuda')) for _ in range(2))
        assert len(said) == 1
        assert 'Triton needs a C compiler' in said[0]


@pytest.mark.parametrize('version', [None, '', 'unknown', '3.2.0'])
def test_a_triton_that_is_no_triton_or_too_old_is_none(monkeypatch, version):
    module = (
        SimpleNamespace(__spec__=object())
        if version is None
        else SimpleNamespace(__spec__=object(), __version__=version)
    )
    monkeypatch.setitem(sys.modules, 'triton', module)
    has_triton.cache_clear()
    try:
        assert not has_triton()
    finally:
        has_triton.cache_clear()


def test_computing_the_hidden_layer_anew_needs_the_kernels():
    with pytest.raises(ValueError, match=r"^recompute_hidden=True needs kernels='triton'; got 'auto'.$"):
        ConvNeXt('atto', recompute_hidden=True)


def test_another_name_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"^kernels must be one of auto, triton, torch; got 'cuda'.$"):
        ConvNeXt('atto', kernels='cuda')


def test_without_a_gpu_every_choice_is_pytorchs_and_silent():
    """Also where there is no Triton, as on a Mac."""
    script = """
import sys
import torch
from convnext_dense.backbones import ConvNeXt
from convnext_dense.kernels.support import has_triton

torch.cuda.is_available = lambda: False
image = torch.rand(1, 3, 32, 32)
for triton in ('is there', 'is not there'):
    if triton == 'is not there':
        sys.modules['triton'] = None
        has_triton.cache_clear()
        assert not has_triton()
    maps = []
    for kernels in ('torch', 'triton', 'auto'):
        torch.manual_seed(0)
        maps.append(ConvNeXt(dict(depths=[1], channels=[8]), out_indices=0, kernels=kernels)(image)[0])
    assert torch.equal(maps[0], maps[1]) and torch.equal(maps[0], maps[2])
"""
    run = subprocess.run(
        [sys.executable, '-c', script],
        env={**os.environ, 'TRITON_INTERPRET': '0'},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert 'triton' not in (run.stdout + run.stderr).lower()
