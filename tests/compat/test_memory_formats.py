"""Channels-last maps in code that reads memory as contiguous."""

import sys
from types import ModuleType

import pytest
import torch
from mmcv import ops
from mmdet.models.dense_heads.centernet_head import get_topk_from_heatmap
from mmseg.models.decode_heads import DMHead

from convnext_dense.compat import memory_formats
from convnext_dense.compat.imports.mmcv_ext import is_mmcv_compiled
from convnext_dense.compat.memory_formats import give_compiled_mmcv_contiguous_tensors

FUNCTIONS = {
    value
    for name, module in list(sys.modules.items())
    if name.startswith('mmcv.ops.')
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, torch.autograd.Function) and value is not torch.autograd.Function
}


def test_dmnet_takes_channels_last_maps():
    head = DMHead(filter_sizes=(1, 3), in_channels=4, channels=2, num_classes=3).eval()
    maps = torch.rand(2, 4, 6, 6)
    expected = head([maps])
    torch.testing.assert_close(head([maps.to(memory_format=torch.channels_last)]), expected)


def test_centernet_finds_peaks_in_channels_last_heatmaps():
    scores = torch.rand(2, 3, 4, 5)
    peaks = get_topk_from_heatmap(scores, k=6)
    for ours, expected in zip(
        get_topk_from_heatmap(scores.to(memory_format=torch.channels_last), k=6), peaks, strict=True
    ):
        assert torch.equal(ours, expected)


@pytest.mark.skipif(is_mmcv_compiled(), reason='stands for a compiled mmcv, which is here')
class TestCompiledMmcv:
    @pytest.fixture
    def extension(self, monkeypatch):
        """An extension that refuses what compiled mmcv misreads, in place of ours for the time of a test."""
        ours = sys.modules['mmcv._ext']

        class Compiled(ModuleType):
            __file__ = 'mmcv/_ext.so'

            def __getattr__(self, name):
                operator = getattr(ours, name)

                def refuse(*arguments, **settings):
                    tensors = [x for x in arguments if isinstance(x, torch.Tensor)]
                    assert all(x.is_contiguous() and x.dtype != torch.bfloat16 for x in tensors)
                    return operator(*arguments, **settings)

                return refuse

        extension = Compiled('mmcv._ext')
        monkeypatch.setitem(sys.modules, 'mmcv._ext', extension)
        for module in list(sys.modules.values()):
            if getattr(module, '__name__', '').startswith('mmcv.ops.') and hasattr(module, 'ext_module'):
                monkeypatch.setattr(module, 'ext_module', extension)
        for function in FUNCTIONS:
            # Keeps what it is now, and puts it back afterwards.
            for name in ('forward', 'backward'):
                monkeypatch.setattr(function, name, staticmethod(getattr(function, name)))
        return extension

    def pool_and_convolve(self):
        x = torch.rand(1, 4, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
        rois, layer = torch.tensor([[0, 1, 1, 6, 6.0]]), ops.ModulatedDeformConv2dPack(4, 4, 3, padding=1)
        maps = layer(x), ops.roi_align(x, rois, 2)
        sum(y.square().sum() for y in maps).backward()
        return x.grad

    def test_refuses_channels_last_maps_by_itself(self, extension):
        with pytest.raises(AssertionError):
            self.pool_and_convolve()

    def test_gets_contiguous_tensors(self, extension):
        give_compiled_mmcv_contiguous_tensors()
        assert self.pool_and_convolve().isfinite().all()

    def test_computes_in_float32_what_is_bfloat16(self, extension):
        give_compiled_mmcv_contiguous_tensors()
        x, rois = torch.rand(1, 4, 8, 8).bfloat16().requires_grad_(), torch.tensor([[0, 1, 1, 6, 6.0]]).bfloat16()
        pooled, expected = ops.roi_align(x, rois, 2), ops.roi_align(x.float(), rois.float(), 2)
        assert torch.equal(pooled, expected.bfloat16())
        gradients = [torch.autograd.grad(y.sum(), x)[0] for y in (pooled, expected)]
        assert torch.equal(*gradients)

    def test_ours_gets_what_there_is(self, monkeypatch):
        wrapped = []
        monkeypatch.setattr(memory_formats, 'make_readable_first', wrapped.append)
        give_compiled_mmcv_contiguous_tensors()
        assert not wrapped
