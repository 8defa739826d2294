"""The roadmap's networks against ResNet-50, ConvNeXt-T, and the paper's table."""

import re

import pytest
import torch
from helpers.weights.random_weights import randomize
from mmdet.models import ResNet
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from convnext_dense.backbones import ConvNeXt, ModernizedResNet
from convnext_dense.meta_device import build_on_meta, without_allocating

# Each step's switch, and its GFLOPs in the paper's table 10.
STEPS = [
    ('resnet-50', {}, 4.09),
    ('stage-ratio', dict(depths=[3, 3, 9, 3]), 4.53),
    ('patchify-stem', dict(patchify_stem=True), 4.42),
    ('depthwise', dict(depthwise=True), 2.35),
    ('width-96', dict(width=96), 5.27),
    ('inverted-bottleneck', dict(inverted_bottleneck=True), 4.64),
    ('depthwise-first', dict(depthwise_first=True), 4.07),
    ('kernel-7', dict(kernel_size=7), 4.15),
    ('gelu', dict(act_cfg=dict(type='GELU')), 4.15),
    ('fewer-activations', dict(fewer_activations=True), 4.15),
    ('fewer-norms', dict(fewer_norms=True), 4.15),
    # The paper's table has 4.46, although no convolution is added.
    ('layer-norm', dict(norm_cfg=dict(type='LN2d', eps=1e-6)), 4.15),
    ('separate-downsampling', dict(separate_downsampling=True), 4.49),
]
NAMES = [name for name, _, _ in STEPS]
LAST = len(STEPS) - 1


def arguments(step, **others):
    """The switches that are on at a step."""
    switches = {}
    for _, switch, _ in STEPS[: step + 1]:
        switches.update(switch)
    return {**switches, **others}


def small(step, **others):
    return ModernizedResNet(**arguments(step, depths=[1, 1, 2, 1], width=8, **others))


def gflops(model):
    """Multiply-adds at 224 x 224, in G."""
    model.eval()
    with FlopCounterMode(display=False) as counter, without_allocating():
        model(torch.empty(1, 3, 224, 224))
    return counter.get_total_flops() / 2e9


def built_on_meta(step):
    with without_allocating():
        return ModernizedResNet(**arguments(step))


def num_parameters(model):
    return sum(param.numel() for param in model.parameters())


class TestFirstStepIsResNet50:
    @staticmethod
    def from_resnet(name):
        """Our name of a parameter of mmdet's or torchvision's ResNet."""
        name = re.sub(r'^layer(\d)', lambda found: f'stages.{int(found[1]) - 1}', name)
        name = re.sub(r'\bbn(\d)', r'norm\1', name).replace('downsample', 'shortcut')
        return re.sub(r'^norm1', 'downsample_layers.0.1', re.sub(r'^conv1', 'downsample_layers.0.0', name))

    def test_its_maps_equal_mmdets(self):
        theirs = randomize(ResNet(depth=50), std=0.05)
        ours = ModernizedResNet().eval()
        ours.load_state_dict({self.from_resnet(name): value for name, value in theirs.state_dict().items()})
        x = torch.randn(1, 3, 64, 32)
        with torch.no_grad():
            for actual, expected in zip(ours(x), theirs(x), strict=True):
                assert_close(actual, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())

    def test_it_has_its_flops_and_parameters(self):
        ours = built_on_meta(0)
        theirs = build_on_meta(dict(type='ResNet', depth=50), 'mmdet')
        assert gflops(ours) == gflops(theirs)
        assert num_parameters(ours) == num_parameters(theirs)


class TestLastStepIsConvNeXtT:
    @staticmethod
    def from_convnext(name):
        for theirs, ours in (('dwconv', 'conv1'), ('pwconv1', 'conv2'), ('pwconv2', 'conv3')):
            name = name.replace(theirs, ours)
        return re.sub(r'^(stages.*)\.norm\.', r'\1.norm1.', name)

    def test_its_maps_equal_convnexts(self):
        theirs = randomize(ConvNeXt('tiny', layer_scale_init_value=1.0), std=0.05)
        ours = ModernizedResNet(**arguments(LAST, layer_scale_init_value=1.0)).eval()
        state = {self.from_convnext(name): value for name, value in theirs.state_dict().items()}
        own = ours.state_dict()
        # ConvNeXt's pointwise convolutions are linear layers.
        ours.load_state_dict({name: value.view_as(own[name]) for name, value in state.items()})
        x = torch.randn(1, 3, 64, 32)
        with torch.no_grad():
            for actual, expected in zip(ours(x), theirs(x), strict=True):
                assert_close(actual, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())

    def test_it_has_its_flops_and_parameters(self):
        ours = built_on_meta(LAST)
        with without_allocating():
            theirs = ConvNeXt('tiny', layer_scale_init_value=0.0)
        assert gflops(ours) == gflops(theirs)
        assert num_parameters(ours) == num_parameters(theirs)

    def test_its_layers_are_convnexts(self):
        ours = built_on_meta(LAST)
        theirs = ConvNeXt(dict(depths=ours.depths, channels=[4, 8, 12, 16]), layer_scale_init_value=0.0)
        expected = {self.from_convnext(name): theirs.get_layer_depth(name) for name, _ in theirs.named_parameters()}
        assert {name: ours.get_layer_depth(name) for name, _ in ours.named_parameters()} == expected


@pytest.fixture
def plain_kernels():
    """Without oneDNN, which compiles a kernel for each shape. This takes longer than running a small model."""
    with torch.backends.mkldnn.flags(enabled=False):
        yield


@pytest.mark.usefixtures('plain_kernels')
class TestEveryStep:
    @pytest.mark.parametrize('step', range(len(STEPS)), ids=NAMES)
    def test_counts_the_papers_flops_and_names_its_layers(self, step):
        model = built_on_meta(step)
        # The paper's count of the last step includes the norms.
        tolerance = 0.04 if step == LAST else 0.01
        assert gflops(model) == pytest.approx(STEPS[step][2], abs=tolerance)
        ids = {name: model.get_layer_depth(f'backbone.{name}', 'backbone.') for name, _ in model.named_parameters()}
        assert {count for _, count in ids.values()} == {8}
        stem = {layer for name, (layer, _) in ids.items() if name.startswith('downsample_layers.0')}
        blocks = {layer for name, (layer, _) in ids.items() if name.startswith('stages')}
        assert stem == {0}
        assert blocks == {1, 2, 3, 4, 6} if model.depths[2] == 6 else blocks == {1, 2, 3, 4, 5, 6}
        assert model.get_layer_depth('rpn_head.weight', 'backbone.') == (7, 8)

    @pytest.mark.parametrize(('kernel_size', 'expected'), [(5, 4.10), (7, 4.15), (9, 4.21), (11, 4.29)])
    def test_counts_the_papers_flops_by_kernel_size(self, kernel_size, expected):
        with without_allocating():
            model = ModernizedResNet(**arguments(NAMES.index('kernel-7'), kernel_size=kernel_size))
        assert gflops(model) == pytest.approx(expected, abs=0.01)

    @pytest.mark.parametrize('step', range(len(STEPS)), ids=NAMES)
    def test_trains_every_parameter(self, step):
        model = small(step, layer_scale_init_value=0.5, drop_path_rate=0.4)
        blocks = [block for stage in model.stages for block in stage]
        assert [block.drop_path.drop_prob for block in blocks] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
        assert all(block.gamma.unique() == 0.5 for block in blocks)
        maps = model(torch.rand(2, 3, 32, 64))
        assert [tuple(y.shape[1:]) for y in maps] == [
            (width, 8 // 2**i, 16 // 2**i) for i, width in enumerate(model.channels)
        ]
        sum(y.square().sum() for y in maps).backward()
        assert all(param.grad is not None and param.grad.isfinite().all() for param in model.parameters())

    @pytest.mark.parametrize('step', [0, LAST])
    def test_keeps_frozen_stages_in_eval_mode(self, step):
        model = small(step, frozen_stages=2, drop_path_rate=0.5).train()
        frozen = [model.downsample_layers[0], model.stages[0], model.downsample_layers[1], model.stages[1]]
        for module in frozen:
            assert not any(part.training for part in module.modules())
            assert not any(param.requires_grad for param in module.parameters())
        assert all(part.training for part in model.stages[2].modules())
        assert all(param.requires_grad for param in model.stages[2].parameters())

    @pytest.mark.parametrize('step', [0, LAST])
    def test_has_the_same_gradients_with_checkpointing(self, step):
        plain = small(step, layer_scale_init_value=1.0, drop_path_rate=0.5)
        saving = small(step, layer_scale_init_value=1.0, drop_path_rate=0.5, with_cp=True)
        saving.load_state_dict(plain.state_dict())
        x = torch.rand(4, 3, 32, 32)
        for model in (plain, saving):
            torch.manual_seed(1)
            sum(y.square().mean() for y in model(x)).backward()
        for expected, actual in zip(plain.parameters(), saving.parameters(), strict=True):
            assert_close(actual.grad, expected.grad)

    def test_builds_no_later_stages(self):
        model = small(LAST, out_indices=(0, 1))
        assert [y.shape[1] for y in model(torch.rand(1, 3, 32, 32))] == [8, 16]
        assert len(model.stages) == 2

    @pytest.mark.parametrize('prefix', [None, 'backbone.'])
    def test_loads_ones_own_weights_by_init_cfg(self, tmp_path, prefix):
        trained = randomize(small(6), std=0.05)
        state = {f'{prefix or ""}{name}': value for name, value in trained.state_dict().items()}
        torch.save(dict(state_dict=state), tmp_path / 'weights.pth')
        init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'weights.pth'))
        if prefix:
            init_cfg['prefix'] = prefix
        model = small(6, init_cfg=init_cfg).eval()
        model.init_weights()
        x = torch.rand(1, 3, 64, 64)
        assert torch.equal(model(x)[3], trained(x)[3])


class TestSwitches:
    def test_convolutions_have_a_bias_unless_batch_norm_follows(self):
        block = small(NAMES.index('fewer-norms')).stages[0][0]
        assert block.conv1.bias is None
        assert block.conv2.bias is not None
        assert small(NAMES.index('layer-norm')).stages[0][0].conv1.bias is not None

    def test_separate_downsampling_adds_its_norms(self):
        without, separate = small(LAST - 1), small(LAST)
        assert isinstance(without.norm0, torch.nn.Identity)
        assert isinstance(without.downsample_layers[0][1], torch.nn.Identity)
        norms = [separate.norm0, separate.downsample_layers[0][1], separate.downsample_layers[1][0]]
        assert all(isinstance(norm, torch.nn.LayerNorm) for norm in norms)

    def test_any_order_works(self):
        model = ModernizedResNet([1, 1, 1, 1], 8, kernel_size=7, patchify_stem=True, separate_downsampling=True)
        assert [y.shape[1] for y in model(torch.rand(2, 3, 64, 64))] == [32, 64, 128, 256]

    @pytest.mark.parametrize(
        ('wrong', 'message'),
        [
            (dict(depths=[3, 0, 9, 3]), r'depths must be positive integers, one per stage; got \[3, 0, 9, 3\]'),
            (dict(depths=3), 'depths must be a list of whole numbers; got 3'),
            (dict(width=0), 'width must be a positive integer; got 0'),
            (dict(in_channels=-1), 'in_channels must be a positive integer; got -1'),
            (dict(kernel_size=4), 'kernel_size must be an odd integer from 3.*got 4'),
            (dict(kernel_size=1), 'kernel_size must be an odd integer from 3.*got 1'),
            (dict(patchify_stem='patchify'), "patchify_stem must be True or False; got 'patchify'"),
            (dict(depthwise=1), 'depthwise must be True or False; got 1'),
            (dict(separate_downsampling=None), 'separate_downsampling must be True or False; got None'),
            (dict(depthwise_first=True), 'depthwise_first=True needs depthwise=True'),
            (dict(fewer_activations=True), 'fewer_activations=True needs depthwise_first=True'),
            (dict(fewer_norms=True, depthwise=True), 'fewer_norms=True needs depthwise_first=True'),
            (dict(norm_cfg=dict()), 'norm_cfg'),
            (dict(drop_path_rate=1.0), 'drop_path_rate.*got 1.0'),
            (dict(frozen_stages=5), 'frozen_stages must be from 0 .* to 4.*got 5'),
            (dict(out_indices=(4,)), 'out_indices must name stages from 0 to 3'),
        ],
    )
    def test_wrong_values_are_refused_with_what_is_allowed(self, wrong, message):
        with pytest.raises(ValueError, match=message):
            ModernizedResNet(**wrong)

    def test_an_image_that_is_too_small_is_refused(self):
        with pytest.raises(ValueError, match=r'at least 32 pixels.*got 16 x 64'):
            small(0)(torch.rand(1, 3, 16, 64))
