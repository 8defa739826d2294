"""The deformable operators against compiled mmcv's outputs, and against formulas in float64."""

import pytest
import torch
from mmcv import ops
from mmcv.cnn import build_conv_layer
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from mmdet.models.necks import DyHead
from torch.testing import assert_close
from torchvision.ops import deform_conv2d


def linear_gradient(output):
    """The output gradient that the reference file was made with."""
    return torch.linspace(-1, 1, output.numel()).view_as(output)


def close(actual, expected):
    assert_close(actual, expected, rtol=1e-4, atol=1e-5)


class TestDeformConv:
    @pytest.mark.parametrize('groups', [1, 2])
    def test_v1_equals_compiled(self, goldens, groups):
        x, offset, weight = (goldens[f'dc_g{groups}_{name}'].clone().requires_grad_() for name in ('in', 'off', 'w'))
        out = ops.deform_conv2d(x, offset, weight, 1, 1, 1, groups, groups)
        out.backward(linear_gradient(out))
        close(out.detach(), goldens[f'dc_g{groups}_out'])
        close(x.grad, goldens[f'dc_g{groups}_gx'])
        close(offset.grad, goldens[f'dc_g{groups}_goff'])
        close(weight.grad, goldens[f'dc_g{groups}_gw'])

    @pytest.mark.parametrize('groups', [1, 2])
    def test_v2_equals_compiled(self, goldens, groups):
        x, offset, mask, weight, bias = (
            goldens[f'dc_g{groups}_{name}'].clone().requires_grad_() for name in ('in', 'off', 'mask', 'w', 'b')
        )
        out = ops.modulated_deform_conv2d(x, offset, mask, weight, bias, 1, 1, 1, groups, groups)
        out.backward(linear_gradient(out))
        close(out.detach(), goldens[f'mdc_g{groups}_out'])
        for tensor, name in ((x, 'gx'), (offset, 'goff'), (mask, 'gm'), (weight, 'gw'), (bias, 'gb')):
            close(tensor.grad, goldens[f'mdc_g{groups}_{name}'])

    @pytest.mark.parametrize('type_', ['DCN', 'DCNv2'])
    def test_layers_without_offsets_are_convolutions(self, type_):
        geometry = dict(stride=(2, 1), padding=(1, 2), dilation=(2, 1))
        layer = build_conv_layer(dict(type=type_), 4, 6, 3, bias=False, **geometry)
        x = torch.rand(2, 4, 9, 12)
        expected = torch.nn.functional.conv2d(x, layer.weight, **geometry)
        # DCNv2's masks begin as sigmoid(0).
        close(layer(x), expected * (0.5 if type_ == 'DCNv2' else 1))

    @pytest.mark.parametrize('type_', ['DCN', 'DCNv2'])
    def test_layers_train_in_bf16_autocast(self, type_):
        layer = build_conv_layer(dict(type=type_), 4, 6, 3, padding=1, bias=False)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            out = layer(torch.rand(2, 4, 8, 8))
        out.float().sum().backward()
        assert layer.weight.grad.isfinite().all()
        assert layer.conv_offset.weight.grad.any()


class TestSamplesOnTheEdge:
    """Samples at exactly -1 have no gradient in mmcv's kernels; in torchvision's they have one."""

    geometry = dict(stride=(1, 2), padding=(1, 2), dilation=(1, 2))

    def gradients(self, is_modulated, offset):
        """mmcv's gradient of the offsets and torchvision's, as (kernel rows, columns, (y, x), H, W)."""
        x, weight = torch.rand(1, 2, 5, 8).double(), torch.rand(3, 2, 3, 3).double()
        size = (5, 4)
        mask = torch.rand(1, 9, *size).double() if is_modulated else None
        offset = offset.expand(1, 18, *size)
        grads = []
        for convolve in (self.mmcv, deform_conv2d):
            leaf = offset.clone().requires_grad_()
            convolve(x, leaf, weight, mask=mask, **self.geometry).square().sum().backward()
            grads.append(leaf.grad.view(3, 3, 2, *size))
        return grads

    def mmcv(self, x, offset, weight, mask, stride, padding, dilation):
        if mask is None:
            return ops.deform_conv2d(x, offset, weight, stride, padding, dilation)
        return ops.modulated_deform_conv2d(x, offset, mask, weight, None, stride, padding, dilation)

    @pytest.mark.parametrize('is_modulated', [False, True])
    def test_have_no_gradient(self, is_modulated):
        # Without offsets, these are the first row of the kernel's first row: y = 0 * 1 - 1. No column is at -1.
        ours, torchvisions = self.gradients(is_modulated, torch.zeros(1, 1, 1, 1).double())
        assert not ours[0, :, :, 0].any()
        assert torchvisions[0, :, :, 0].any()
        torchvisions[0, :, :, 0] = 0
        assert_close(ours, torchvisions)

    @pytest.mark.parametrize('is_modulated', [False, True])
    def test_all_others_have_torchvisions(self, is_modulated):
        ours, torchvisions = self.gradients(is_modulated, torch.tensor(0.3).double().view(1, 1, 1, 1))
        assert_close(ours, torchvisions)


class TestOffsetsOfAnotherSize:
    """mmdet's DyHead and VLFusion give a convolution of stride 2 the offsets and masks of stride 1."""

    def read_by_mmcv(self, maps, size):
        """mmcv's kernel computes a number's place from the output's height and width."""
        channels, (height, width) = maps.shape[1], size
        memory = maps.reshape(len(maps), -1)
        place = torch.arange(channels * height * width).view(channels, height, width)
        return memory[:, place]

    def test_are_read_as_mmcv_reads_them(self):
        x, weight = torch.rand(2, 4, 7, 9), torch.rand(6, 4, 3, 3)
        maps = [torch.randn(2, 18, 7, 9), torch.rand(2, 9, 7, 9)]
        given, read = ([tensor.clone().requires_grad_() for tensor in maps] for _ in range(2))
        out = ops.modulated_deform_conv2d(x, *given, weight, None, 2, 1)
        expected = ops.modulated_deform_conv2d(
            x, *(self.read_by_mmcv(tensor, (4, 5)) for tensor in read), weight, None, 2, 1
        )
        assert torch.equal(out, expected)
        out.square().sum().backward()
        expected.square().sum().backward()
        for tensor, reference in zip(given, read, strict=True):
            close(tensor.grad, reference.grad)

    def test_smaller_ones_are_an_error(self):
        offset, mask = torch.rand(1, 18, 3, 3), torch.rand(1, 9, 3, 3)
        with pytest.raises(RuntimeError, match='offset'):
            ops.modulated_deform_conv2d(torch.rand(1, 4, 8, 8), offset, mask, torch.rand(4, 4, 3, 3), None, 1, 1)

    def test_a_dyhead_trains_on_channels_last_maps(self):
        neck = DyHead(16, 16, num_blocks=1)
        maps = [torch.rand(1, 16, s, s).contiguous(memory_format=torch.channels_last) for s in (16, 8, 4)]
        outs = neck(maps)
        sum(out.square().sum() for out in outs).backward()
        assert [out.shape for out in outs] == [x.shape for x in maps]
        assert all(parameter.grad.isfinite().all() for parameter in neck.parameters() if parameter.grad is not None)


class TestDeformableAttention:
    shapes = torch.tensor([[6, 8], [3, 4]])

    def inputs(self, dtype):
        value = torch.randn(2, 60, 4, 8, dtype=dtype, requires_grad=True)
        locations = torch.rand(2, 5, 4, 2, 3, 2, dtype=dtype, requires_grad=True)
        weights = torch.rand(2, 5, 4, 2, 3, dtype=dtype, requires_grad=True)
        return value, locations, weights

    def attend(self, value, locations, weights):
        starts = torch.tensor([0, 48])
        return MultiScaleDeformableAttnFunction.apply(value, self.shapes, starts, locations, weights, 64)

    def test_the_gpu_path_has_the_right_gradients(self):
        # A kink lies at every pixel border, so sample away from them.
        value, locations, weights = self.inputs(torch.float64)
        assert torch.autograd.gradcheck(self.attend, (value, locations, weights), atol=1e-4)

    def test_the_gpu_path_equals_mmcvs_pytorch_form(self):
        value, locations, weights = self.inputs(torch.float32)
        expected = multi_scale_deformable_attn_pytorch(value, self.shapes, locations, weights)
        close(self.attend(value, locations, weights), expected)

    def test_the_module_trains(self):
        module = ops.MultiScaleDeformableAttention(32, num_heads=4, num_levels=2, batch_first=True)
        out = module(
            torch.rand(2, 5, 32),
            value=torch.rand(2, 60, 32),
            reference_points=torch.rand(2, 5, 2, 2),
            spatial_shapes=self.shapes,
            level_start_index=torch.tensor([0, 48]),
        )
        out.sum().backward()
        assert out.shape == (2, 5, 32)
        assert module.value_proj.weight.grad.any()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
class TestOnGpu:
    def test_deformable_attention_trains(self):
        module = ops.MultiScaleDeformableAttention(32, num_heads=4, num_levels=2, batch_first=True)
        module.cuda()
        shapes = TestDeformableAttention.shapes.cuda()
        out = module(
            torch.rand(2, 5, 32, device='cuda'),
            value=torch.rand(2, 60, 32, device='cuda'),
            reference_points=torch.rand(2, 5, 2, 2, device='cuda'),
            spatial_shapes=shapes,
            level_start_index=torch.tensor([0, 48], device='cuda'),
        )
        out.sum().backward()
        assert module.value_proj.weight.grad.any()
