"""The deformable operators against compiled mmcv's outputs, and against formulas in float64."""

import pytest
import torch
from mmcv import ops
from mmcv.cnn import build_conv_layer
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from torch.testing import assert_close


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
