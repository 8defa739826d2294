"""Which blocks run with the kernels: those that ask for them and are as the backbone built them."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.testing._internal.two_tensor import TwoTensor

from convnext_dense.backbones import ConvNeXt
from convnext_dense.kernels import devices
from convnext_dense.layers import PointwiseLinear, can_fuse

ARCH = dict(depths=[1], channels=[16])


@pytest.fixture
def x(device):
    return torch.randn(1, 16, 4, 8, device=device)


@pytest.fixture
def block(device):
    return ConvNeXt(ARCH, out_indices=0, kernels='triton').stages[0][0].to(device)


class TestArgument:
    def test_is_torch_by_default(self):
        assert ConvNeXt(ARCH, out_indices=0).stages[0][0].kernels == 'torch'

    def test_auto_is_refused_with_what_to_write_instead(self):
        message = (
            r"^kernels='auto' no longer exists: the default is 'torch', and 'triton' opts in to the fused kernels\.$"
        )
        with pytest.raises(ValueError, match=message):
            ConvNeXt(ARCH, out_indices=0, kernels='auto')

    def test_another_name_is_refused_in_one_sentence(self):
        with pytest.raises(ValueError, match=r"^kernels must be one of torch, triton; got 'cuda'\.$"):
            ConvNeXt(ARCH, out_indices=0, kernels='cuda')

    def test_recompute_hidden_needs_triton(self):
        with pytest.raises(ValueError, match=r"^recompute_hidden=True needs kernels='triton'; got 'torch'\.$"):
            ConvNeXt(ARCH, out_indices=0, recompute_hidden=True)


class TestCanFuse:
    def test_the_plain_block(self, block, x):
        assert can_fuse(block, x)

    @pytest.mark.parametrize(
        'change',
        [
            dict(norm=nn.BatchNorm2d(16)),
            dict(act=nn.ReLU()),
            dict(act=nn.GELU(approximate='tanh')),
            dict(pwconv1=nn.Sequential(PointwiseLinear(16, 64))),
            dict(pwconv2=PointwiseLinear(64, 16, bias=False)),
            dict(dwconv=nn.Conv2d(16, 16, 7, padding=6, dilation=2, groups=16)),
            dict(dwconv=nn.Conv2d(16, 16, 7, padding=3, groups=16, padding_mode='reflect')),
            dict(dwconv=nn.Conv2d(16, 16, 13, padding=6, groups=16)),
            dict(dwconv=nn.Conv2d(16, 16, 3, padding=1)),
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
    def test_no_block_with_another_layer(self, block, x, change):
        for name, module in change.items():
            setattr(block, name, module)
        assert not can_fuse(block, x)

    def test_a_convolution_of_another_size(self, block, x):
        block.dwconv = nn.Conv2d(16, 16, 11, padding=5, groups=16)
        assert can_fuse(block, x)

    def test_no_block_with_a_hook(self, block, x):
        seen = []
        block.act.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
        block(x)
        assert seen == [(1, 4, 8, 64)]

    def test_no_block_with_a_replaced_forward(self, block, x):
        """Libraries that move weights to the GPU on demand replace it."""
        block.pwconv1.forward = block.pwconv1.forward
        assert not can_fuse(block, x)

    def test_no_block_with_a_tensor_subclass_as_weight(self, block, x):
        weight = TwoTensor(block.pwconv1.weight.detach(), block.pwconv1.weight.detach())
        block.pwconv1.weight = nn.Parameter(weight)
        assert not can_fuse(block, x)

    def test_no_float64(self, block, x):
        assert not can_fuse(block, x.double())

    def test_no_block_that_asks_for_torch(self, block, x):
        block.kernels = 'torch'
        assert not can_fuse(block, x)


class TestFallback:
    @pytest.fixture
    def maps(self):
        def compute(kernels: str) -> torch.Tensor:
            torch.manual_seed(0)
            return ConvNeXt(ARCH, out_indices=0, kernels=kernels)(torch.rand(1, 3, 16, 16))[0]

        return compute

    def test_without_gpu_is_pytorchs_block_and_silent(self, maps, monkeypatch, capsys):
        monkeypatch.setenv('TRITON_INTERPRET', '0')
        assert torch.equal(maps('triton'), maps('torch'))
        assert ''.join(capsys.readouterr()) == ''

    def test_without_triton_is_pytorchs_block(self, maps, monkeypatch):
        monkeypatch.setitem(sys.modules, 'triton', None)
        devices.has_triton.cache_clear()
        try:
            assert torch.equal(maps('triton'), maps('torch'))
        finally:
            devices.has_triton.cache_clear()

    @pytest.mark.e2e
    def test_is_silent_and_the_default_imports_no_compiler(self):
        """Without Triton, as on a Mac."""
        script = """
import sys
sys.modules['triton'] = None
import torch
torch.cuda.is_available = lambda: False
from convnext_dense.backbones import ConvNeXt

arch = dict(depths=[1], channels=[8])
ConvNeXt(arch, out_indices=0)(torch.rand(1, 3, 32, 32))
assert 'torch._dynamo' not in sys.modules
ConvNeXt(arch, out_indices=0, kernels='triton')(torch.rand(1, 3, 32, 32))
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
