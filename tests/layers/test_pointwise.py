"""The linear layer over channels computes what PyTorch's does, compiled or not."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from convnext_dense.layers import PointwiseLinear


@pytest.fixture
def layers():
    """Ours, and PyTorch's with the same weights."""
    theirs = nn.Linear(24, 48)
    ours = PointwiseLinear(24, 48)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize('compiled', [False, True])
def test_output_and_gradients_equal_a_linear_layers(layers, compiled):
    ours, theirs = layers
    x = torch.randn(2, 5, 7, 24)
    gradient = torch.randn(2, 5, 7, 48)
    run = torch.compile(ours, backend='aot_eager', fullgraph=True) if compiled else ours
    results = []
    for module, call in ((ours, run), (theirs, theirs)):
        source = x.clone().requires_grad_()
        output = call(source)
        output.backward(gradient)
        results.append([output, source.grad, module.weight.grad, module.bias.grad])
    assert_close(*results, rtol=1e-5, atol=1e-5)


def test_compiled_for_a_cpu_the_product_has_no_bias(layers):
    ours, _ = layers
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph

    with torch.no_grad():
        torch.compile(ours, backend=backend)(torch.randn(3, 24))
    linear = next(node for node in graphs[0].graph.nodes if node.target is torch._C._nn.linear)
    assert len(linear.args) == 2


def test_compiled_under_autocast_the_output_is_in_half_precision(layers):
    ours, theirs = layers
    x = torch.randn(3, 24)
    with torch.autocast('cpu', torch.bfloat16):
        compiled = torch.compile(ours, backend='aot_eager')(x)
        expected = theirs(x)
    assert compiled.dtype == expected.dtype == torch.bfloat16
    assert_close(compiled, expected, rtol=2e-2, atol=2e-2)


def test_without_a_bias():
    layer = PointwiseLinear(4, 4, bias=False)
    x = torch.randn(2, 4)
    assert_close(torch.compile(layer, backend='aot_eager')(x), x @ layer.weight.T)
