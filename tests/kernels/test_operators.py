"""The kernels are operators: PyTorch traces, compiles, exports, checkpoints and distributes them."""

import pytest
import torch
from torch._dynamo.utils import counters
from torch.distributed import destroy_process_group, init_process_group
from torch.nn.parallel import DistributedDataParallel

from convnext_dense.backbones import ConvNeXt
from convnext_dense.kernels import depthwise_conv, depthwise_conv_norm, pointwise_mlp
from convnext_dense.kernels.depthwise_conv.operators import depthwise_conv_backward, depthwise_conv_norm_backward
from convnext_dense.kernels.pointwise_mlp import launch as pointwise_mlp_launch
from convnext_dense.kernels.pointwise_mlp.operators import pointwise_mlp_backward

CHANNELS, HIDDEN = 8, 32


@pytest.fixture
def convolution(random):
    return random(2, 3, 4, CHANNELS), random(CHANNELS, 1, 3, 3), random(CHANNELS)


@pytest.fixture
def mlp(random, device):
    """Return the arguments of `pointwise_mlp`, all optional ones given."""
    x, residual = random(2, 3, 4, CHANNELS), random(2, 3, 4, CHANNELS)
    layers = random(HIDDEN, CHANNELS), random(HIDDEN), random(CHANNELS, HIDDEN), random(CHANNELS)
    scale, gain = torch.tensor([0.5, 1.5], device=device), torch.full((CHANNELS,), 0.1, device=device)
    return x, *layers, residual, scale, gain, random(HIDDEN), 1e-6, torch.float32, True


@pytest.fixture
def arguments(convolution, mlp):
    """Return arguments of every operator."""
    x, weight, bias = convolution
    x2, weight1, bias1, weight2, _, residual, scale, gain, grn_weight, eps, _, _ = mlp
    with torch.no_grad():
        normed, rstd = depthwise_conv_norm(x, weight, bias, 1e-6, torch.float32)
        _, hidden, squares = pointwise_mlp(*mlp)
    backward = x2, weight1, bias1, weight2, scale, gain, grn_weight, eps, hidden, squares
    return {
        depthwise_conv: (x, weight, bias, torch.bfloat16),
        depthwise_conv_backward: (x, x, weight),
        depthwise_conv_norm: (x, weight, bias, 1e-6, torch.float32),
        depthwise_conv_norm_backward: (x, normed, rstd, x, weight),
        pointwise_mlp: mlp,
        pointwise_mlp_backward: (residual, *backward),
    }


OPERATORS = [
    depthwise_conv,
    depthwise_conv_backward,
    depthwise_conv_norm,
    depthwise_conv_norm_backward,
    pointwise_mlp,
    pointwise_mlp_backward,
]


@pytest.mark.parametrize('operator', OPERATORS, ids=lambda operator: operator._name)
def test_the_fake_form_tells_shapes_dtypes_and_strides_and_nothing_is_changed_in_place(arguments, operator):
    detached = [each.detach() if isinstance(each, torch.Tensor) else each for each in arguments[operator]]
    torch.library.opcheck(operator, detached, test_utils=('test_schema', 'test_faketensor'))


@pytest.mark.parametrize('operator', [depthwise_conv_norm, pointwise_mlp], ids=lambda operator: operator._name)
def test_gradients_are_registered_and_traced(arguments, operator):
    torch.library.opcheck(
        operator, arguments[operator], test_utils=('test_autograd_registration', 'test_aot_dispatch_dynamic')
    )


@pytest.fixture(params=[False, True], ids=['v1', 'v2'])
def build(request, device):
    """Build a ConvNeXt of two blocks; all that are built have the same weights, of which none is zero."""

    def make(kernels: str = 'triton', **arguments: object) -> ConvNeXt:
        v2 = request.param
        model = ConvNeXt(
            dict(depths=[1, 1], channels=[CHANNELS, 2 * CHANNELS]),
            out_indices=(0, 1),
            use_grn=v2,
            layer_scale_init_value=0.0 if v2 else 1.0,
            kernels=kernels,
            **arguments,
        )
        generator = torch.Generator().manual_seed(1)
        for parameter in model.parameters():
            about = 1.0 if parameter.ndim == 1 else 0.0
            parameter.data.copy_(about + 0.1 * torch.randn(parameter.shape, generator=generator))
        return model.to(device)

    return make


@pytest.fixture
def images(device):
    return torch.randn(1, 3, 8, 16, device=device)


def outputs_and_gradients(model, images):
    """Return the maps, and the parameters' gradients of a loss in which every value counts."""
    maps = model(images)
    sum((each.float().cos() * each.float()).mean() for each in maps).backward()
    return [*maps, *(each.grad for each in model.parameters())]


def assert_same(results, others, tolerance=1e-5):
    for own, other in zip(results, others, strict=True):
        torch.testing.assert_close(own, other, rtol=tolerance, atol=tolerance)


def test_a_backbone_is_pytorchs(build, images):
    assert_same(outputs_and_gradients(build(), images), outputs_and_gradients(build('torch'), images))


def test_stochastic_depth_drops_the_same_blocks(build, images):
    def run(kernels):
        torch.manual_seed(3)
        return outputs_and_gradients(build(kernels, drop_path_rate=0.5), images.repeat(2, 1, 1, 1))

    assert_same(run('triton'), run('torch'))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_gives_pytorchs_dtypes_and_errs_no_more(build, images, dtype):
    images = images.repeat(2, 1, 1, 1)
    exact = outputs_and_gradients(build('torch').double(), images.double())
    with torch.autocast(images.device.type, dtype):
        own, other = (outputs_and_gradients(build(kernels), images) for kernels in ('triton', 'torch'))
    assert [each.dtype for each in own] == [each.dtype for each in other]

    def error(results):
        parts = [((value - target).norm() / target.norm()).item() for value, target in zip(results, exact, strict=True)]
        return sum(parts) / len(parts)

    assert error(own) <= 1.5 * error(other)


def test_an_empty_batch_has_empty_maps_and_zero_gradients(build, images):
    results = outputs_and_gradients(build(), images[:0])
    assert [tuple(each.shape) for each in results[:2]] == [(0, 8, 2, 4), (0, 16, 1, 2)]
    assert all(not each.nan_to_num().any() for each in results)


@pytest.mark.parametrize('which', [1, 2])
def test_what_is_kept_beside_the_map_is_not_differentiable(mlp, convolution, which):
    assert not pointwise_mlp(*mlp)[which].requires_grad
    assert not depthwise_conv_norm(*convolution, 1e-6, torch.float32)[1].requires_grad


def test_a_frozen_block_keeps_no_hidden_layer(build, images, monkeypatch):
    assert written_hidden_layers(build(frozen_stages=1), images, monkeypatch) == [[False, True], [True, True]]


@pytest.mark.parametrize('build', [False], indirect=True, ids=['v1'])
def test_half_precision_holds_the_smallest_layer_scale(build, images):
    """ConvNeXt begins at 1e-6, and float16 ends at 6e-8. No scaling of the loss helps here."""

    def gradient(kernels, dtype):
        model = build(kernels)
        for stage in model.stages:
            stage[0].gamma.data.mul_(1e-6)
        with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
            maps = model(images)
        sum(each.float().cos().mean() for each in maps).backward()
        return model.stages[0][0].gamma.grad

    own, exact = gradient('triton', torch.float16), gradient('torch', torch.float32)
    assert (own - exact).norm() < 0.01 * exact.norm()


@pytest.mark.parametrize('build', [False], indirect=True, ids=['v1'])
def test_half_precision_holds_layer_scales_of_many_magnitudes(build, images):
    def branch_and_gradient(kernels, dtype):
        model = build(kernels)
        block = model.stages[1][0]
        block.gamma.data = torch.logspace(-6, 0, 2 * CHANNELS, device=images.device)
        x = torch.zeros(1, 2 * CHANNELS, 4, 4, device=images.device)
        with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
            branch = block(x)
        branch.sum().backward()
        return branch.detach().float(), block.gamma.grad

    for own, exact in zip(
        branch_and_gradient('triton', torch.float16), branch_and_gradient('torch', torch.float32), strict=True
    ):
        assert ((own - exact).abs() / exact.abs()).max() < 0.01


@pytest.mark.parametrize('option', ['recompute_hidden', 'with_cp'])
def test_what_is_computed_anew_is_the_same(build, images, option):
    assert_same(outputs_and_gradients(build(**{option: True}), images), outputs_and_gradients(build(), images))


def written_hidden_layers(model, images, monkeypatch):
    """Return of each block whether the hidden layer is written before GELU, and after it."""
    written = []
    original = pointwise_mlp_launch.hidden_layer

    def hidden_layer(*arguments):
        made = original(*arguments)
        written.append([each is not None for each in made[:2]])
        return made

    monkeypatch.setattr(pointwise_mlp_launch, 'hidden_layer', hidden_layer)
    model(images)
    return written


def test_without_gradients_the_hidden_layer_is_written_once(build, images, monkeypatch):
    with torch.no_grad():
        assert written_hidden_layers(build(), images, monkeypatch) == [[False, True]] * 2


def test_computing_the_hidden_layer_anew_saves_its_memory(build, images):
    def saved_bytes(**arguments):
        sizes = {}
        model = build(**arguments)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda each: sizes.setdefault(each.data_ptr(), each.nbytes) and each, lambda each: each
        ):
            model(images)
        return sum(sizes.values())

    hidden_bytes = 4 * sum(4 * channels * pixels for channels, pixels in ((CHANNELS, 8), (2 * CHANNELS, 2)))
    assert saved_bytes() - saved_bytes(recompute_hidden=True) == hidden_bytes


def test_double_precision_is_pytorchs(build, images):
    assert_same(build().double()(images.double()), build('torch').double()(images.double()))


class TestCompilation:
    @pytest.fixture(autouse=True)
    def _no_code_of_other_tests(self):
        torch._dynamo.reset()
        counters.clear()

    def test_a_backbone_is_one_graph_for_images_of_all_sizes(self, build, device):
        model = build()
        model.compile(backend='aot_eager', dynamic=True, fullgraph=True)
        images = torch.randn(2, 3, 16, 24, device=device)
        assert_same(outputs_and_gradients(model, images), outputs_and_gradients(build('torch'), images))
        others = torch.randn(3, 3, 24, 16, device=device)
        assert_same(model(others), build('torch')(others))
        assert counters['stats']['unique_graphs'] == 1
        assert not counters['graph_break']

    def test_the_operators_are_in_the_graph(self, build, images):
        names = []

        def backend(graph, _):
            names.extend(str(node.target) for node in graph.graph.nodes)
            return graph

        torch.compile(build(), backend=backend)(images)
        assert sum('depthwise_conv_norm' in name for name in names) == 2
        assert sum('pointwise_mlp' in name for name in names) == 2

    def test_autocast_is_compiled_too(self, build, images):
        model = build()
        with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16):
            expected = model(images)
            compiled = torch.compile(model, backend='aot_eager', fullgraph=True)(images)
        assert_same(compiled, expected, tolerance=0.02)


def test_a_backbone_is_exported(build, images):
    model = build().eval()
    program = torch.export.export(model, (images,))
    assert 'convnext_dense.pointwise_mlp' in str(program.graph)
    assert_same(program.module()(images), model(images))


def test_distributed_training_has_the_same_gradients(build, images, tmp_path):
    backend = 'nccl' if images.is_cuda else 'gloo'
    init_process_group(backend, f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        distributed = outputs_and_gradients(DistributedDataParallel(build()), images)
    finally:
        destroy_process_group()
    assert_same(distributed, outputs_and_gradients(build(), images))
