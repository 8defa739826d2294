"""What is matched, reported and refused."""

import pytest
import timm
import torch
from helpers.weights.backbones_and_sources import num_reported, random_state, v1, v2
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from mmseg.registry import WEIGHT_INITIALIZERS
from torch import nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import CheckpointError
from convnext_dense.weights import load_pretrained, pretrained
from convnext_dense.weights.recognize import infer_size

STEM = 'downsample_layers.0.0.weight'
PAIR = ('weight', 'bias')


@pytest.fixture(scope='module')
def weights():
    """A ConvNeXt V1 atto in the official layout, without output norms as from a classifier."""
    return {name: t for name, t in random_state(v1('atto')).items() if not name.startswith('norm')}


class TestWrappers:
    @pytest.mark.parametrize(
        'wrap',
        [
            lambda weights: weights,
            lambda weights: dict(state_dict=weights, epoch=3, optimizer=dict(state={0: dict(exp_avg=torch.rand(3))})),
            lambda weights: dict(model_ema=weights, model={name: t + 1 for name, t in weights.items()}),
            lambda weights: dict(student={name: t + 1 for name, t in weights.items()}, teacher=weights),
            lambda weights: dict(state_dict=weights, ema_state_dict={name: t + 1 for name, t in weights.items()}),
            lambda weights: {f'module.{name}': t for name, t in weights.items()},
            lambda weights: dict(state_dict={f'module.backbone.{name}': t for name, t in weights.items()}),
            lambda weights: dict(teacher={f'backbone.{name}': t for name, t in weights.items()}),
            lambda weights: {f'image.encoder.{name}': t for name, t in weights.items()},
        ],
    )
    def test_are_removed(self, wrap, weights, save):
        ours = v1('atto')
        load_pretrained(ours, save(wrap(weights)))
        for name, tensor in weights.items():
            assert torch.equal(ours.state_dict()[name], tensor), name

    def test_a_prefix_chooses_one_of_several(self, weights, save):
        other = {name: t + 1 for name, t in weights.items()}
        file = save({f'{key}.{name}': t for key, copy in (('a', other), ('b', weights)) for name, t in copy.items()})
        for prefix, expected in (('a.', other), ('a', other), ('b.', weights)):
            ours = v1('atto')
            load_pretrained(ours, file, prefix=prefix)
            assert torch.equal(ours.state_dict()[STEM], expected[STEM])
        with pytest.raises(CheckpointError, match=r"prefix='c': .* there are some at 'a\.', 'b\.'"):
            load_pretrained(v1('atto'), file, prefix='c')

    def test_other_modules_are_reported(self, weights, save):
        whole = {f'backbone.{name}': t for name, t in weights.items()} | {'neck.conv.weight': torch.rand(2, 2)}
        report = load_pretrained(v1('atto'), save(dict(state_dict=whole)))
        assert report.dropped == {'outside the backbone': ['state_dict.neck.conv.weight']}
        assert 'outside the backbone: neck (1)' in str(report)
        assert num_reported(report) == len(whole)


class TestReport:
    def test_names_what_happened_to_each_tensor(self, weights, save):
        weights = weights | {'head.weight': torch.rand(9, 320), 'strange': torch.rand(1)}
        text = str(load_pretrained(v1('atto'), save(weights)))
        assert 'ConvNeXt V1 atto' in text
        assert 'official layout' in text
        assert 'matched            124 of 132 tensors' in text
        assert 'the classifier: head.weight' in text
        assert 'newly initialized  norm0.weight, norm0.bias, norm1.weight, norm1.bias and 4 more' in text
        assert 'unknown            strange' in text

    def test_names_stages_that_are_not_built_as_dropped(self, weights, save):
        ours = v1('atto', out_indices=(0, 1))
        report = load_pretrained(ours, save(weights))
        dropped = report.dropped['stages after the last output']
        assert {name.split('.')[1] for name in dropped} == {'2', '3'}
        assert report.fits
        assert num_reported(report) == len(weights)

    def test_is_logged_once_by_init_cfg(self, weights, save, monkeypatch):
        printed = []
        monkeypatch.setattr(pretrained, 'print_log', lambda text, **_: printed.append(text))
        init_cfg = dict(type='Pretrained', checkpoint=save(weights))
        v1('atto', init_cfg=init_cfg).init_weights()
        assert len(printed) == 1
        assert printed[0].startswith('Weights of ConvNeXt V1 atto')


def without(name):
    return lambda weights: {key: t for key, t in weights.items() if key != name}


class TestMisfits:
    """Each an error that names the tensors and the likely cause, and a backbone that is as it was."""

    @pytest.mark.parametrize(
        ('backbone', 'change', 'message'),
        [
            (lambda: v1('atto'), without(STEM), rf'lacks {STEM}.*the file is incomplete'),
            (
                lambda: v1('atto'),
                lambda weights: weights | {'stages.1.0.norm.weight': torch.rand(7)},
                r'stages\.1\.0\.norm\.weight \(file 7, backbone 80\)',
            ),
            (
                lambda: v1('atto'),
                lambda weights: weights | {f'norm{i}.{p}': torch.rand(40 * 2**i) for i in (0, 2, 3) for p in PAIR},
                r'lacks norm1\.weight, norm1\.bias',
            ),
            (lambda: v1('atto'), lambda weights: weights | {'norm3.bias': torch.rand(320)}, r'lacks norm3\.weight'),
            (
                lambda: v1('atto'),
                lambda weights: weights | {'stages.0.0.attn.qkv.weight': torch.rand(2)},
                r'no place for stages\.0\.0\.attn\.qkv\.weight',
            ),
            (
                lambda: v1('atto'),
                lambda weights: {name: t for name, t in weights.items() if not name.startswith('stages.1')},
                r'lacks stages\.1\.0',
            ),
            (lambda: v1('femto'), dict, r"weights of ConvNeXt V1 atto, and the backbone is .*femto; set arch='atto'"),
            (lambda: v1('nano'), dict, "set arch='atto'"),
            (
                lambda: v1(dict(depths=[1, 1, 1, 1], channels=[40, 80, 160, 320])),
                dict,
                "no place for stages.0.1.*set arch='atto'",
            ),
            (lambda: v2('atto'), dict, r'set use_grn=False, layer_scale_init_value=1\.0'),
            (lambda: v1('atto', layer_scale_init_value=0.0), dict, r'has LayerScale; set layer_scale_init_value=1\.0'),
            (lambda: v1('atto', stem_patch_size=2), dict, r'file 40x3x4x4, backbone 40x3x2x2.*another stem'),
            (lambda: v1('atto'), lambda weights: {'conv1.weight': torch.rand(2)}, 'holds no ConvNeXt.*conv1.weight'),
            (lambda: v1('atto'), lambda weights: {}, 'holds no ConvNeXt.*it has 0 tensors'),
        ],
    )
    def test_name_the_cause(self, backbone, change, message, weights, save):
        ours = backbone()
        before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
        with pytest.raises(CheckpointError, match=message):
            load_pretrained(ours, save(change(weights)))
        for name, tensor in ours.state_dict().items():
            assert torch.equal(tensor, before[name])

    def test_timms_overlapping_stem_has_no_place(self, save):
        with pytest.raises(CheckpointError, match='shapes differ'):
            load_pretrained(v1('atto'), save(timm.create_model('convnext_atto_ols').state_dict()))

    def test_v2_weights_into_v1(self, save):
        with pytest.raises(CheckpointError, match=r'set use_grn=True, layer_scale_init_value=0\.0'):
            load_pretrained(v1('atto'), save(v2('atto').state_dict()))

    def test_load_what_fits_if_not_strict(self, weights, save):
        file = save(without(STEM)(weights) | {'stages.1.0.norm.weight': torch.rand(7)})
        ours = v1('atto', init_cfg=dict(type='Pretrained', checkpoint=file, strict=False))
        before = ours.state_dict()[STEM].clone()
        ours.init_weights()
        assert torch.equal(ours.state_dict()[STEM], before)
        assert torch.equal(ours.state_dict()['stages.0.0.gamma'], weights['stages.0.0.gamma'])

    def test_nothing_that_fits_is_an_error_if_not_strict(self, weights, save):
        with pytest.raises(CheckpointError, match=r'nothing of .* fits the backbone'):
            load_pretrained(v1('base'), save(weights), strict=False)

    def test_name_both_causes(self, weights, save):
        with pytest.raises(CheckpointError, match=r"set arch='atto', use_grn=False, layer_scale_init_value=1\.0"):
            load_pretrained(v2('nano'), save(weights))

    @pytest.mark.parametrize('value', [float('nan'), float('inf')])
    def test_values_that_are_not_finite(self, value, weights, save):
        with pytest.raises(CheckpointError, match=rf'NaN or infinite values in .* such as {STEM}'):
            load_pretrained(v1('atto'), save(weights | {STEM: torch.full_like(weights[STEM], value)}))

    def test_a_whole_model_with_another_backbone(self, weights, save):
        model = nn.ModuleDict(dict(backbone=v1('femto'), head=nn.Linear(1, 1)))
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        whole = {f'backbone.{name}': t for name, t in weights.items()} | {'head.bias': torch.ones(1)}
        with pytest.raises(CheckpointError, match=r"backbone does not fit.*set arch='atto'.*instead of load_from"):
            load_checkpoint(model, save(whole))
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, before[name])

    def test_a_backbone_alone_for_a_whole_model(self, weights, save):
        model = nn.ModuleDict(dict(backbone=v1('atto')))
        with pytest.raises(CheckpointError, match=r"no names that begin with 'backbone\.'.*init_cfg"):
            load_checkpoint(model, save(weights))


class TestOwnStateDict:
    """A backbone of any kind loads what it saved."""

    def test_of_a_subclass_with_more_layers(self):
        class More(ConvNeXt):
            def __init__(self):
                super().__init__('atto')
                self.extra = nn.Linear(2, 2)

        model = More()
        state = random_state(model)
        model.load_state_dict(state)
        assert torch.equal(model.extra.weight, state['extra.weight'])

    def test_with_batch_norm(self):
        model = v1('atto', norm_cfg=dict(type='BN'))
        model.load_state_dict(model.state_dict())
        old = {name: t for name, t in model.state_dict().items() if not name.endswith('num_batches_tracked')}
        model.load_state_dict(old)

    def test_with_an_unknown_name_is_refused_by_pytorch(self):
        model = v1('atto')
        with pytest.raises(RuntimeError, match='strange'):
            model.load_state_dict(model.state_dict() | {'strange': torch.rand(1)})

    def test_is_not_loaded_on_the_meta_device(self, weights, save):
        with torch.device('meta'):
            model = v1('atto')
        with pytest.raises(CheckpointError, match='on the meta device'):
            load_pretrained(model, save(weights))


def test_another_packages_initializers_still_work(weights, save):
    @WEIGHT_INITIALIZERS.register_module(force=True)
    class SetsGamma:
        def __init__(self, value):
            self.value = value

        def __call__(self, module):
            for name, param in module.named_parameters():
                if name.endswith('gamma'):
                    nn.init.constant_(param, self.value)

    theirs, ours = dict(type='SetsGamma', value=0.25), dict(type='Pretrained', checkpoint=save(weights))
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = v1('atto', init_cfg=[theirs, ours])
        model.init_weights()
        assert torch.equal(model.stages[0][0].gamma, weights['stages.0.0.gamma'])
        model = v1('atto', init_cfg=theirs)
        model.init_weights()
        assert model.stages[0][0].gamma.unique() == 0.25


class TestStem:
    @pytest.mark.parametrize('in_channels', [1, 2, 4, 6, 7])
    @pytest.mark.parametrize(('name', 'make'), [('convnext_atto', v1), ('convnextv2_atto', v2)])
    def test_is_inflated_as_timm_inflates_it(self, name, make, in_channels, save):
        theirs = timm.create_model(name)
        ours = make('atto', in_channels=in_channels)
        report = load_pretrained(ours, save(theirs.state_dict()))
        expected = timm.models.adapt_input_conv(in_channels, theirs.stem[0].weight)
        assert torch.equal(ours.state_dict()[STEM], expected)
        assert report.inflated == 3

    def test_of_one_channel_gives_what_rgb_gave_for_gray(self, weights, save):
        gray, rgb = v1('atto', in_channels=1), v1('atto')
        for ours in (gray, rgb):
            load_pretrained(ours, save(weights))
        x = torch.rand(1, 1, 64, 64)
        with torch.no_grad():
            actual = gray.downsample_layers[0](x)
            expected = rgb.downsample_layers[0](x.expand(-1, 3, -1, -1))
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)

    def test_of_as_many_channels_loads_as_it_is(self, save):
        theirs, ours = v1('atto', in_channels=6), v1('atto', in_channels=6)
        assert load_pretrained(ours, save(random_state(theirs))).inflated is None

    def test_that_cannot_be_inflated_is_an_error(self, save):
        with pytest.raises(CheckpointError, match='another stem; only one of 3 input channels'):
            load_pretrained(v1('atto', in_channels=5), save(v1('atto', in_channels=6).state_dict()))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_loads_into_float32(dtype, weights, save):
    ours = v1('atto')
    half = {name: t.to(dtype) if i % 2 else t for i, (name, t) in enumerate(weights.items())}
    report = load_pretrained(ours, save(half))
    assert set(report.dtypes) == {torch.float32, dtype}
    for name, tensor in half.items():
        assert ours.state_dict()[name].dtype == torch.float32
        assert torch.equal(ours.state_dict()[name], tensor.float())


def test_every_arch_is_inferred_from_its_shapes():
    for arch in ConvNeXt.arch_settings:
        with torch.device('meta'):
            size = infer_size(ConvNeXt(arch, use_grn=True, layer_scale_init_value=0.0).state_dict())
        assert (size.arch, size.use_grn, size.layer_scale, size.in_channels) == (arch, True, False, 3)
