"""A backbone that runs with the kernels equals PyTorch's, in every mode that PyTorch has for it."""

import pytest
import torch
from torch._dynamo.utils import counters
from torch.distributed import destroy_process_group, init_process_group
from torch.nn.parallel import DistributedDataParallel

from convnext_dense.backbones import ConvNeXt
from convnext_dense.kernels.depthwise_conv import launch as depthwise_conv_launch
from convnext_dense.kernels.pointwise_mlp import launch as pointwise_mlp_launch

CHANNELS = 8
ONLY_V1 = pytest.mark.parametrize('build', [False], indirect=True, ids=['v1'])
# For what does not depend on the version: one in the `kernels` tier, the other one in `full`.
V1_THEN_V2 = pytest.mark.parametrize(
    'build',
    [pytest.param(False, marks=pytest.mark.kernels, id='v1'), pytest.param(True, marks=pytest.mark.full, id='v2')],
    indirect=True,
)
V2_THEN_V1 = pytest.mark.parametrize(
    'build',
    [pytest.param(True, marks=pytest.mark.kernels, id='v2'), pytest.param(False, marks=pytest.mark.full, id='v1')],
    indirect=True,
)


@pytest.fixture(params=[False, True], ids=['v1', 'v2'])
def build(request, device):
    """Build a ConvNeXt with a block in each stage. All that are built have the same weights, none of them zero."""

    def make(kernels: str = 'triton', stages: int = 2, **arguments: object) -> ConvNeXt:
        v2 = request.param
        model = ConvNeXt(
            dict(depths=[1] * stages, channels=[CHANNELS * 2**i for i in range(stages)]),
            out_indices=range(stages),
            use_grn=v2,
            layer_scale_init_value=0.0 if v2 else 1.0,
            kernels=kernels,
            **arguments,
        )
        generator = torch.Generator().manual_seed(1)
        for parameter in model.parameters():
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.data.copy_(mean + 0.1 * torch.randn(parameter.shape, generator=generator))
        return model.to(device)

    return make


@pytest.fixture
def images(device):
    return torch.randn(1, 3, 8, 16, device=device)


@pytest.fixture
def hidden_layers(monkeypatch):
    """List for every block that runs whether the hidden layer is written before GELU, and after it."""
    written = []
    original = pointwise_mlp_launch.hidden_layer

    def hidden_layer(*arguments):
        outputs = original(*arguments)
        written.append([tensor is not None for tensor in outputs[:2]])
        return outputs

    monkeypatch.setattr(pointwise_mlp_launch, 'hidden_layer', hidden_layer)
    return written


def outputs_and_gradients(model, images):
    """Return the maps, and the parameters' gradients of a loss in which every value counts."""
    maps = model(images)
    sum((x.float().cos() * x.float()).mean() for x in maps).backward()
    return [*maps, *(parameter.grad for parameter in model.parameters())]


def assert_same(results, others, tolerance=1e-5):
    for result, other in zip(results, others, strict=True):
        torch.testing.assert_close(result, other, rtol=tolerance, atol=tolerance)


class TestBackbone:
    def test_equals_pytorch(self, build, images):
        assert_same(outputs_and_gradients(build(), images), outputs_and_gradients(build('torch'), images))

    def test_equals_pytorch_in_float64(self, build, images):
        assert_same(build().double()(images.double()), build('torch').double()(images.double()))

    @V1_THEN_V2
    def test_drops_the_same_blocks(self, build, images):
        def run(kernels):
            torch.manual_seed(3)
            return outputs_and_gradients(build(kernels, drop_path_rate=0.5), images.repeat(2, 1, 1, 1))

        assert_same(run('triton'), run('torch'))

    @pytest.mark.kernels
    def test_takes_an_empty_batch(self, build, images):
        results = outputs_and_gradients(build(), images[:0])
        assert [tuple(x.shape) for x in results[:2]] == [(0, 8, 2, 4), (0, 16, 1, 2)]
        assert all(not result.nan_to_num().any() for result in results)

    @V1_THEN_V2
    def test_trains_distributed_with_the_same_gradients(self, build, images, tmp_path):
        backend = 'nccl' if images.is_cuda else 'gloo'
        init_process_group(backend, f'file://{tmp_path}/store', rank=0, world_size=1)
        try:
            distributed = outputs_and_gradients(DistributedDataParallel(build(stages=1)), images)
        finally:
            destroy_process_group()
        assert_same(distributed, outputs_and_gradients(build(stages=1), images))

    @pytest.mark.kernels
    def test_is_exported_with_the_operators(self, build, images):
        model = build().eval()
        program = torch.export.export(model, (images,))
        assert 'convnext_dense.pointwise_mlp' in str(program.graph)
        assert_same(program.module()(images), model(images))


class TestHalfPrecision:
    @pytest.mark.parametrize(
        ('build', 'dtype'),
        [
            pytest.param(False, torch.float16, marks=pytest.mark.kernels, id='v1-float16'),
            pytest.param(True, torch.bfloat16, marks=pytest.mark.kernels, id='v2-bfloat16'),
            pytest.param(False, torch.bfloat16, marks=pytest.mark.full, id='v1-bfloat16'),
            pytest.param(True, torch.float16, marks=pytest.mark.full, id='v2-float16'),
        ],
        indirect=['build'],
    )
    def test_autocast_errs_no_more_than_pytorch(self, build, images, dtype):
        images = images.repeat(2, 1, 1, 1)
        exact = outputs_and_gradients(build('torch').double(), images.double())
        with torch.autocast(images.device.type, dtype):
            ours, pytorchs = (outputs_and_gradients(build(kernels), images) for kernels in ('triton', 'torch'))
        assert [value.dtype for value in ours] == [value.dtype for value in pytorchs]

        def error(results):
            errors = [
                ((value - target).norm() / target.norm()).item() for value, target in zip(results, exact, strict=True)
            ]
            return sum(errors) / len(errors)

        assert error(ours) <= 1.5 * error(pytorchs)

    @pytest.mark.kernels
    @ONLY_V1
    def test_holds_the_smallest_layer_scale(self, build, images):
        """ConvNeXt starts at 1e-6, and float16 ends at 6e-8. Loss scaling does not help here."""

        def gradient(kernels, dtype):
            model = build(kernels)
            for stage in model.stages:
                stage[0].gamma.data.mul_(1e-6)
            with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
                maps = model(images)
            sum(x.float().cos().mean() for x in maps).backward()
            return model.stages[0][0].gamma.grad

        ours, exact = gradient('triton', torch.float16), gradient('torch', torch.float32)
        assert (ours - exact).norm() < 0.01 * exact.norm()

    @pytest.mark.kernels
    @ONLY_V1
    def test_holds_layer_scales_of_many_magnitudes(self, build, images):
        def branch_and_gradient(kernels, dtype):
            model = build(kernels)
            block = model.stages[1][0]
            block.gamma.data = torch.logspace(-6, 0, 2 * CHANNELS, device=images.device)
            x = torch.zeros(1, 2 * CHANNELS, 4, 4, device=images.device)
            with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
                branch = block(x)
            branch.sum().backward()
            return branch.detach().float(), block.gamma.grad

        ours = branch_and_gradient('triton', torch.float16)
        for value, exact in zip(ours, branch_and_gradient('torch', torch.float32), strict=True):
            assert ((value - exact).abs() / exact.abs()).max() < 0.01


class TestHiddenLayer:
    @V1_THEN_V2
    def test_recomputing_it_changes_nothing(self, build, images):
        expected = outputs_and_gradients(build(stages=1), images)
        for option in ('recompute_hidden', 'with_cp'):
            assert_same(outputs_and_gradients(build(stages=1, **{option: True}), images), expected)

    @V1_THEN_V2
    def test_recomputing_it_saves_its_memory(self, build, images):
        def saved_bytes(**arguments):
            sizes = {}
            model = build(**arguments)
            with torch.autograd.graph.saved_tensors_hooks(
                lambda tensor: sizes.setdefault(tensor.data_ptr(), tensor.nbytes) and tensor, lambda tensor: tensor
            ):
                model(images)
            return sum(sizes.values())

        hidden_bytes = 4 * sum(4 * channels * pixels for channels, pixels in ((CHANNELS, 8), (2 * CHANNELS, 2)))
        assert saved_bytes() - saved_bytes(recompute_hidden=True) == hidden_bytes

    @pytest.mark.kernels
    def test_a_frozen_block_keeps_none(self, build, images, hidden_layers):
        build(frozen_stages=1)(images)
        assert hidden_layers == [[False, True], [True, True]]

    @pytest.mark.kernels
    def test_is_written_once_without_gradients(self, build, images, hidden_layers):
        with torch.no_grad():
            build()(images)
        assert hidden_layers == [[False, True]] * 2


class TestCompilation:
    @pytest.fixture(autouse=True)
    def _without_earlier_code(self):
        torch._dynamo.reset()
        counters.clear()

    @V2_THEN_V1
    def test_is_one_graph_for_images_of_all_sizes(self, build, device):
        model, reference = build(stages=1), build('torch', stages=1)
        model.compile(backend='aot_eager', dynamic=True, fullgraph=True)
        images = torch.randn(2, 3, 16, 24, device=device)
        assert_same(outputs_and_gradients(model, images), outputs_and_gradients(reference, images))
        others = torch.randn(3, 3, 24, 16, device=device)
        assert_same(model(others), reference(others))
        assert counters['stats']['unique_graphs'] == 1
        assert not counters['graph_break']

    @V1_THEN_V2
    def test_has_the_operators_in_its_graph(self, build, images):
        names = []

        def backend(graph, _):
            names.extend(str(node.target) for node in graph.graph.nodes)
            return graph

        torch.compile(build(), backend=backend)(images)
        assert sum('depthwise_conv_norm' in name for name in names) == 2
        assert sum('pointwise_mlp' in name for name in names) == 2

    @V1_THEN_V2
    def test_works_under_autocast(self, build, images):
        model = build()
        with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16):
            expected = model(images)
            compiled = torch.compile(model, backend='aot_eager', fullgraph=True)(images)
        assert_same(compiled, expected, tolerance=0.02)


@pytest.mark.parametrize(
    ('v2', 'steps'),
    [
        pytest.param(False, 10, marks=pytest.mark.kernels, id='v1'),
        pytest.param(True, 10, marks=pytest.mark.full, id='v2'),
        pytest.param(False, 100, marks=pytest.mark.full, id='v1-long'),
    ],
)
def test_training_has_pytorchs_losses(device, monkeypatch, v2, steps):
    # The smallest tile, since the interpreter computes all of it and the maps are small.
    monkeypatch.setattr(
        depthwise_conv_launch, 'tune', lambda kernel, code, x, candidates, launch: launch(candidates[-1])
    )
    images = torch.randn(1, 3, 8, 12, device=device)
    targets = torch.randn(1, 32, 2, 3, device=device)

    def losses(kernels):
        torch.manual_seed(0)
        model = ConvNeXt(
            dict(depths=[1], channels=[32]),
            out_indices=0,
            use_grn=v2,
            layer_scale_init_value=0.0 if v2 else 1.0,
            kernels=kernels,
        ).to(device)
        model.init_weights()
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-2 if steps == 10 else 3e-3, weight_decay=0.05)
        values = []
        for _ in range(steps):
            (features,) = model(images)
            loss = (features - targets).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            values.append(loss.item())
        return torch.tensor(values)

    ours, pytorchs = losses('triton'), losses('torch')
    assert pytorchs[-1] < 0.7 * pytorchs[0]
    torch.testing.assert_close(ours, pytorchs, rtol=1e-3, atol=0)
