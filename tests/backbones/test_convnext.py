"""ConvNeXt against timm, and against the papers' tables."""

import pytest
import timm
import torch
from helpers.weights.random_weights import randomize
from mmengine.registry import MODELS
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from convnext_dense.backbones import ConvNeXt
from convnext_dense.meta_device import without_allocating
from convnext_dense.weights.layouts import TIMM

SMALL = dict(depths=[1, 1, 2, 1], channels=[8, 16, 24, 32])


def without_output_norms(model):
    for i in model.out_indices:
        setattr(model, f'norm{i}', torch.nn.Identity())
    return model.eval()


class TestParity:
    @pytest.mark.parametrize(
        ('arch', 'timm_name', 'v2'),
        [
            ('atto', 'convnextv2_atto', True),
            ('tiny', 'convnext_tiny', False),
            pytest.param('nano', 'convnextv2_nano', True, marks=pytest.mark.full),
            pytest.param('small', 'convnext_small', False, marks=pytest.mark.full),
        ],
    )
    def test_maps_equal_timms(self, arch, timm_name, v2):
        theirs = randomize(timm.create_model(timm_name, features_only=True))
        ours = ConvNeXt(arch, use_grn=v2, layer_scale_init_value=0.0 if v2 else 1.0)
        without_output_norms(ours).load_state_dict(theirs.state_dict())
        x = torch.randn(2, 3, 96, 64)
        with torch.no_grad():
            for actual, expected in zip(ours(x), theirs(x), strict=True):
                assert_close(actual, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())

    def test_gradients_equal_timms(self):
        theirs = randomize(timm.create_model('convnextv2_atto', features_only=True, out_indices=(0, 1, 2, 3)))
        ours = without_output_norms(ConvNeXt('atto', use_grn=True, layer_scale_init_value=0.0))
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(1, 3, 64, 64)
        for model in (ours, theirs):
            sum(y.square().mean() for y in model(x)).backward()
        expected = {TIMM.to_official(name): param.grad for name, param in theirs.named_parameters()}
        for name, param in ours.named_parameters():
            grad = expected[name].view_as(param)
            assert_close(param.grad, grad, rtol=1e-3, atol=1e-4 * grad.abs().max().item())


class TestSize:
    @pytest.mark.parametrize('arch', ConvNeXt.arch_settings)
    def test_every_arch_builds_with_its_widths(self, arch):
        with without_allocating():
            model = ConvNeXt(arch)
            maps = model(torch.empty(1, 3, 64, 64))
        assert [y.shape[1] for y in maps] == list(model.channels)

    # Backbone and classifier, from the papers' tables: M parameters, and G multiply-adds at 224 x 224.
    @pytest.mark.parametrize(
        ('arch', 'v2', 'params', 'flops'),
        [
            ('tiny', False, 28.6, 4.5),
            ('small', False, 50, 8.7),
            ('base', False, 88.6, 15.4),
            ('large', False, 198, 34.4),
            ('xlarge', False, 350.2, 60.9),
            ('atto', True, 3.7, 0.55),
            ('femto', True, 5.2, 0.78),
            ('pico', True, 9.1, 1.37),
            ('nano', True, 15.6, 2.45),
            ('tiny', True, 28.6, 4.47),
            ('base', True, 89, 15.4),
            ('large', True, 198, 34.4),
            ('huge', True, 660, 115),
        ],
    )
    def test_parameters_and_flops_equal_the_published(self, arch, v2, params, flops):
        with without_allocating():
            model = ConvNeXt(arch, use_grn=v2, layer_scale_init_value=0.0 if v2 else 1.0, out_indices=3)
            with FlopCounterMode(display=False) as counter:
                model(torch.empty(1, 3, 224, 224))
        classifier = 1000 * (model.channels[3] + 1)
        assert (sum(p.numel() for p in model.parameters()) + classifier) / 1e6 == pytest.approx(params, rel=0.01)
        # The counter counts a multiply-add as two.
        assert (counter.get_total_flops() / 2 + classifier) / 1e9 == pytest.approx(flops, rel=0.02)


class TestMaps:
    def test_an_odd_image_is_rounded_down_at_each_stage(self):
        maps = ConvNeXt(SMALL)(torch.rand(1, 3, 101, 67))
        assert [tuple(y.shape[2:]) for y in maps] == [(25, 16), (12, 8), (6, 4), (3, 2)]

    def test_are_channels_last_in_memory(self):
        for y in ConvNeXt(SMALL)(torch.rand(2, 3, 64, 64)):
            assert y.is_contiguous(memory_format=torch.channels_last)

    @pytest.mark.parametrize(
        ('out_indices', 'channels'), [((1, 3), [16, 32]), (2, [24]), (-1, [32]), ([0, -2], [8, 24])]
    )
    def test_can_be_those_of_any_stages(self, out_indices, channels):
        maps = ConvNeXt(SMALL, out_indices=out_indices)(torch.rand(1, 3, 64, 64))
        assert [y.shape[1] for y in maps] == channels

    def test_do_not_depend_on_which_others_are_returned(self):
        whole = ConvNeXt(SMALL).eval()
        part = ConvNeXt(SMALL, out_indices=(1,)).eval()
        part.load_state_dict({k: v for k, v in whole.state_dict().items() if k in part.state_dict()})
        x = torch.rand(1, 3, 64, 64)
        assert torch.equal(part(x)[0], whole(x)[1])

    def test_every_parameter_gets_a_gradient(self):
        for out_indices in [(0, 1, 2, 3), (0, 1)]:
            model = ConvNeXt(SMALL, out_indices=out_indices, use_grn=True)
            sum(y.square().sum() for y in model(torch.rand(1, 3, 64, 64))).backward()
            assert all(param.grad is not None for param in model.parameters())

    def test_other_input_channels_and_patch_size_work(self):
        model = ConvNeXt(SMALL, in_channels=6, stem_patch_size=2)
        assert model(torch.rand(1, 6, 32, 32))[0].shape == (1, 8, 16, 16)


class TestTraining:
    def test_stochastic_depth_rises_linearly(self):
        model = ConvNeXt(SMALL, drop_path_rate=0.8, layer_scale_init_value=1.0)
        rates = [block.drop_path.drop_prob for stage in model.stages for block in stage]
        assert rates == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
        x = torch.rand(8, 3, 64, 64)
        assert not torch.equal(model(x)[3], model(x)[3])
        model.eval()
        assert torch.equal(model(x)[3], model(x)[3])

    def test_layer_scale_starts_at_its_initial_value(self):
        assert ConvNeXt(SMALL, layer_scale_init_value=0.5).stages[0][0].gamma.unique() == 0.5
        assert ConvNeXt(SMALL, layer_scale_init_value=0.0).stages[0][0].gamma is None

    def test_frozen_stages_stay_frozen_in_eval_mode(self):
        model = ConvNeXt(SMALL, frozen_stages=2, drop_path_rate=0.5).train()
        frozen = [model.downsample_layers[0], model.stages[0], model.downsample_layers[1], model.stages[1]]
        for module in frozen:
            assert not module.training
            assert not any(param.requires_grad for param in module.parameters())
        assert model.stages[2].training
        assert all(param.requires_grad for param in model.stages[2].parameters())
        assert model.norm0.weight.requires_grad

    def test_checkpointing_gives_the_same_gradients(self):
        plain = ConvNeXt(SMALL, drop_path_rate=0.5, layer_scale_init_value=1.0, use_grn=True)
        saving = ConvNeXt(SMALL, drop_path_rate=0.5, layer_scale_init_value=1.0, use_grn=True, with_cp=True)
        saving.load_state_dict(plain.state_dict())
        x = torch.rand(4, 3, 64, 64)
        for model in (plain, saving):
            torch.manual_seed(1)
            sum(y.square().mean() for y in model(x)).backward()
        for expected, actual in zip(plain.parameters(), saving.parameters(), strict=True):
            assert_close(actual.grad, expected.grad)

    def test_default_initialization_is_the_official_one(self):
        model = ConvNeXt('atto')
        model.init_weights()
        assert model.stages[2][0].pwconv1.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not model.downsample_layers[0][0].bias.any()

    def test_it_trains_in_bf16_autocast(self):
        model = ConvNeXt(SMALL, use_grn=True)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            loss = sum(y.float().square().mean() for y in model(torch.rand(2, 3, 64, 64)))
        loss.backward()
        assert all(param.grad.isfinite().all() for param in model.parameters())


class TestDropIn:
    def test_an_mmpretrain_config_builds(self):
        model = MODELS.build(
            dict(
                type='convnext_dense.ConvNeXt',
                arch=dict(SMALL),
                in_channels=3,
                stem_patch_size=4,
                norm_cfg=dict(type='LN2d', eps=1e-6),
                act_cfg=dict(type='GELU'),
                linear_pw_conv=False,
                use_grn=True,
                drop_path_rate=0.1,
                layer_scale_init_value=0.0,
                out_indices=[0, 1, 2, 3],
                frozen_stages=0,
                gap_before_final_norm=False,
                with_cp=True,
                init_cfg=None,
            )
        )
        assert len(model(torch.rand(1, 3, 64, 64))) == 4

    def test_another_norm_and_activation_work(self):
        model = ConvNeXt(SMALL, norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))
        assert isinstance(model.stages[0][0].norm, torch.nn.BatchNorm2d)
        assert isinstance(model.stages[0][0].act, torch.nn.ReLU)
        assert len(model(torch.rand(2, 3, 64, 64))) == 4


class TestWrongArguments:
    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (dict(arch='giant'), r"arch must be one of atto, femto.*got 'giant'"),
            (dict(arch=dict(depths=[1, 1])), 'arch must be a name or dict'),
            (dict(arch=dict(depths=[1, 1, 1], channels=[8, 16])), r'same length.*depths=\[1, 1, 1\]'),
            (dict(arch=dict(depths=[1, 0], channels=[8, 16])), 'positive integers'),
            (dict(out_indices=(0, 4)), r'out_indices must name stages from 0 to 3.*got \(0, 4\)'),
            (dict(out_indices=()), 'out_indices'),
            (dict(frozen_stages=5), 'frozen_stages must be from 0 .* to 4.*got 5'),
            (dict(drop_path_rate=1.5), 'drop_path_rate.*got 1.5'),
            (dict(gap_before_final_norm=True), 'gap_before_final_norm must be False'),
            (dict(norm_cfg=dict()), 'norm_cfg'),
            (dict(norm_cfg=dict(type='XX')), "norm_cfg: there is no norm layer 'XX'"),
            (dict(arch=dict(depths=3, channels=4)), 'arch must be a name or dict'),
            (dict(out_indices=None), 'out_indices.*got None'),
            (dict(frozen_stages=1.5), 'frozen_stages.*got 1.5'),
            (dict(stem_patch_size=0), 'stem_patch_size must be a positive integer; got 0'),
        ],
    )
    def test_are_refused_with_what_is_allowed(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            ConvNeXt(**arguments)

    def test_an_image_that_is_too_small_is_refused(self):
        with pytest.raises(ValueError, match=r'at least 32 pixels.*got 16 x 64'):
            ConvNeXt(SMALL)(torch.rand(1, 3, 16, 64))
