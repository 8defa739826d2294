"""The operators are registered so that PyTorch can trace and differentiate them."""

import pytest
import torch

from convnext_dense.kernels import depthwise_conv_norm, pointwise_mlp
from convnext_dense.kernels.depthwise_conv.operators import depthwise_conv_norm_backward
from convnext_dense.kernels.pointwise_mlp.operators import pointwise_mlp_backward

CHANNELS, HIDDEN = 8, 32
OPERATORS = [depthwise_conv_norm, depthwise_conv_norm_backward, pointwise_mlp, pointwise_mlp_backward]


@pytest.fixture
def convolution(random):
    """Return the arguments of `depthwise_conv_norm`."""
    return random(2, 3, 4, CHANNELS), random(CHANNELS, 1, 3, 3), random(CHANNELS), 1e-6, torch.float32


@pytest.fixture
def mlp(random, device):
    """Return the arguments of `pointwise_mlp`, none of them None."""
    x, residual = random(2, 3, 4, CHANNELS), random(2, 3, 4, CHANNELS)
    layers = random(HIDDEN, CHANNELS), random(HIDDEN), random(CHANNELS, HIDDEN), random(CHANNELS)
    scales = torch.tensor([0.5, 1.5], device=device), torch.full((CHANNELS,), 0.1, device=device)
    return x, *layers, residual, *scales, random(HIDDEN), 1e-6, torch.float32, True


@pytest.fixture
def arguments(convolution, mlp):
    """Return arguments of every operator."""
    x, weight, *_ = convolution
    with torch.no_grad():
        normed, rstd = depthwise_conv_norm(*convolution)
        _, hidden, squares = pointwise_mlp(*mlp)
    x2, weight1, bias1, weight2, _, residual, *scales_and_grn, _, _ = mlp
    return {
        depthwise_conv_norm: convolution,
        depthwise_conv_norm_backward: (x, normed, rstd, x, weight),
        pointwise_mlp: mlp,
        pointwise_mlp_backward: (residual, x2, weight1, bias1, weight2, *scales_and_grn, hidden, squares),
    }


@pytest.mark.parametrize('operator', OPERATORS, ids=lambda operator: operator._name)
def test_fake_form_has_the_shapes_dtypes_and_strides(arguments, operator):
    detached = [value.detach() if isinstance(value, torch.Tensor) else value for value in arguments[operator]]
    torch.library.opcheck(operator, detached, test_utils=('test_schema', 'test_faketensor'))


@pytest.mark.parametrize('keep_hidden', [False, True])
def test_fake_form_without_optional_tensors_is_the_same(mlp, keep_hidden):
    tensors = [tensor.detach() for tensor in mlp[:6]]
    plain = *tensors, None, None, None, 1e-6, torch.bfloat16, keep_hidden
    torch.library.opcheck(pointwise_mlp, plain, test_utils=('test_schema', 'test_faketensor'))


@pytest.mark.kernels
@pytest.mark.parametrize('operator', [depthwise_conv_norm, pointwise_mlp], ids=lambda operator: operator._name)
def test_gradients_are_registered_and_traced(arguments, operator):
    torch.library.opcheck(
        operator, arguments[operator], test_utils=('test_autograd_registration', 'test_aot_dispatch_dynamic')
    )


def test_only_the_map_is_differentiable(convolution, mlp):
    _, rstd = depthwise_conv_norm(*convolution)
    _, hidden, squares = pointwise_mlp(*mlp)
    assert not any(tensor.requires_grad for tensor in (rstd, hidden, squares))
