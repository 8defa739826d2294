"""Our constructor compared with mmdet's and mmseg's, and on models that theirs do not support."""

import pytest
import torch
from mmdet.engine.optimizers import LearningRateDecayOptimizerConstructor as MmdetConstructor
from mmdet.engine.optimizers.layer_decay_optimizer_constructor import get_layer_id_for_convnext
from mmdet.models import CSPNeXt, Darknet, ResNet, SwinTransformer
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmseg.engine.optimizers import LearningRateDecayOptimizerConstructor as MmsegConstructor
from mmseg.models.backbones import MAE, MSCAN, MixVisionTransformer

from convnext_dense.backbones import ConvNeXt
from convnext_dense.optim import LayerDecayOptimWrapperConstructor, backbone_layer_ids

OPTIM_WRAPPER = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05))


class Model(torch.nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = torch.nn.Conv2d(3, 3, 3)


def groups(constructor, model, **paramwise_cfg):
    optim_wrapper = constructor(dict(OPTIM_WRAPPER), paramwise_cfg)(model)
    return {group['group_name']: group for group in optim_wrapper.optimizer.param_groups}


def ours(model, **paramwise_cfg):
    return groups(LayerDecayOptimWrapperConstructor, model, **paramwise_cfg)


def setting_of(all_groups, key):
    """The value of a key for every parameter, by name."""
    return {name: group[key] for group in all_groups.values() for name in group['param_names']}


def narrow(arch):
    """A ConvNeXt with the depths of `arch`, which decide the groups, and few channels."""
    depths, _ = ConvNeXt.arch_settings[arch]
    return Model(ConvNeXt(dict(depths=list(depths), channels=[8, 16, 32, 64])))


@pytest.fixture(scope='module')
def tiny():
    return narrow('tiny')


@pytest.fixture(scope='module')
def small():
    return narrow('small')


class TestEqualsOpenMMLab:
    @pytest.mark.parametrize('reference', [MmdetConstructor, MmsegConstructor])
    @pytest.mark.parametrize('decay_type', ['layer_wise', 'stage_wise'])
    @pytest.mark.parametrize(('arch', 'num_layers'), [('tiny', 6), ('small', 12)])
    def test_group_by_group(self, request, reference, decay_type, arch, num_layers):
        model = request.getfixturevalue(arch)
        settings = dict(decay_rate=0.7, decay_type=decay_type, num_layers=num_layers)
        theirs = groups(reference, model, **settings)
        own = ours(model, **settings)
        assert own.keys() == theirs.keys()
        for name, group in theirs.items():
            assert set(own[name]['param_names']) == set(group['param_names'])
            assert {id(p) for p in own[name]['params']} == {id(p) for p in group['params']}
            for key in ('lr', 'lr_scale', 'weight_decay'):
                assert own[name][key] == pytest.approx(group[key], rel=1e-12)

    def test_a_rate_of_0_has_groups(self, small):
        wrapper = dict(OPTIM_WRAPPER, optimizer=dict(OPTIM_WRAPPER['optimizer'], lr=0.0))
        built = LayerDecayOptimWrapperConstructor(wrapper, dict(decay_rate=0.7))(small)
        assert {group['lr'] for group in built.optimizer.param_groups} == {0.0}
        assert len({group['lr_scale'] for group in built.optimizer.param_groups}) > 4

    @pytest.mark.parametrize('decay_type', ['layer_wise', 'stage_wise'])
    def test_num_layers_is_the_backbones_own_when_left_out(self, small, decay_type):
        given = ours(small, decay_rate=0.7, decay_type=decay_type, num_layers=12)
        assert setting_of(ours(small, decay_rate=0.7, decay_type=decay_type), 'lr') == setting_of(given, 'lr')


class TestMmenginesKeys:
    def test_custom_keys_multiply_and_add(self, tiny):
        own = ours(
            tiny,
            decay_rate=0.5,
            custom_keys={'head': dict(lr_mult=10.0, decay_mult=0.1), 'norm0': dict(lr_mult=0.0)},
        )
        lr, decay = setting_of(own, 'lr'), setting_of(own, 'weight_decay')
        assert lr['head.weight'] == pytest.approx(1e-3)
        assert decay['head.weight'] == decay['head.bias'] == pytest.approx(0.005)
        assert lr['backbone.norm0.weight'] == 0
        assert decay['backbone.norm0.weight'] == 0
        assert lr['backbone.norm1.weight'] == pytest.approx(1e-4)
        assert lr['backbone.stages.3.0.pwconv1.weight'] == pytest.approx(0.5e-4)

    def test_a_custom_key_of_the_backbone_multiplies_the_decay(self, tiny):
        plain = setting_of(ours(tiny, decay_rate=0.5), 'lr')
        slow = setting_of(ours(tiny, decay_rate=0.5, custom_keys={'backbone': dict(lr_mult=0.1)}), 'lr')
        for name in plain:
            factor = 0.1 if name.startswith('backbone') else 1
            assert slow[name] == pytest.approx(factor * plain[name])

    def test_other_keys_of_mmengine_work(self, tiny):
        own = ours(tiny, decay_rate=0.5, bias_lr_mult=2.0, norm_decay_mult=1.0, dwconv_decay_mult=0.0)
        lr, decay = setting_of(own, 'lr'), setting_of(own, 'weight_decay')
        assert lr['head.bias'] == pytest.approx(2 * lr['head.weight'])
        assert decay['backbone.norm0.weight'] == 0.05
        assert decay['head.bias'] == 0
        assert decay['backbone.stages.0.0.dwconv.weight'] == 0
        assert decay['backbone.stages.0.0.pwconv1.weight'] == 0.05

    def test_frozen_parameters_are_in_no_group(self):
        model = Model(ConvNeXt('tiny', frozen_stages=2))
        names = set(setting_of(ours(model, decay_rate=0.7), 'lr'))
        assert names == {name for name, p in model.named_parameters() if p.requires_grad}
        assert not any(name.startswith('backbone.stages.1') for name in names)

    def test_grn_has_no_weight_decay(self):
        model = Model(ConvNeXt('atto', use_grn=True))
        decay = setting_of(ours(model, decay_rate=0.7), 'weight_decay')
        assert decay['backbone.stages.0.0.grn.gamma'] == 0
        assert decay['backbone.stages.0.0.grn.beta'] == 0

    def test_a_wrapped_model_is_looked_into(self, tiny):
        wrapped = torch.nn.Module()
        wrapped.module = tiny
        assert setting_of(ours(wrapped, decay_rate=0.7), 'lr') == setting_of(ours(tiny, decay_rate=0.7), 'lr')

    def test_two_backbones_decay_alike(self):
        model = torch.nn.Module()
        model.teacher, model.student = Model(ConvNeXt('atto')), narrow('tiny')
        lr = setting_of(ours(model, decay_rate=0.7), 'lr')
        for which in ('teacher', 'student'):
            assert lr[f'{which}.head.weight'] == 1e-4
            assert lr[f'{which}.backbone.stages.3.0.gamma'] == pytest.approx(0.7e-4)

    def test_a_parameter_that_modules_share_is_in_one_group_once(self):
        model = Model(ConvNeXt('atto'))
        model.other_head = torch.nn.Sequential(model.head)
        params = [p for group in ours(model, decay_rate=0.7).values() for p in group['params']]
        assert len(params) == len({id(p) for p in params}) == len(list(model.parameters()))

    def test_without_weight_decay(self, tiny):
        constructor = LayerDecayOptimWrapperConstructor(dict(optimizer=dict(type='SGD', lr=0.1)), dict(decay_rate=0.5))
        optimizer = constructor(tiny).optimizer
        assert {group['weight_decay'] for group in optimizer.param_groups} == {0}

    def test_the_registry_builds_it(self, tiny):
        config = dict(
            type='convnext_dense.LayerDecayOptimWrapperConstructor',
            optim_wrapper_cfg=dict(OPTIM_WRAPPER),
            paramwise_cfg=dict(decay_rate=0.7),
        )
        assert OPTIM_WRAPPER_CONSTRUCTORS.build(config)(tiny)


class TestOtherBackbones:
    def scales(self, backbone, decay_type='layer_wise'):
        own = ours(Model(backbone), decay_rate=0.5, decay_type=decay_type)
        return {
            name.removeprefix('backbone.'): group['lr_scale'] for group in own.values() for name in group['param_names']
        }

    def test_every_block_of_a_resnet_is_a_layer(self):
        scales = self.scales(ResNet(50))  # 3 + 4 + 6 + 3 blocks
        assert scales['conv1.weight'] == scales['bn1.bias'] == 0.5**17
        assert scales['layer1.0.conv1.weight'] == 0.5**16
        assert scales['layer2.0.conv1.weight'] == 0.5**13
        assert scales['layer4.2.conv3.weight'] == 0.5
        assert scales['head.weight'] == 1

    def test_stage_wise_every_stage_of_a_resnet_is_a_layer(self):
        scales = self.scales(ResNet(50), 'stage_wise')
        assert scales['conv1.weight'] == 0.5**5
        assert scales['layer1.0.conv1.weight'] == scales['layer1.2.conv1.weight'] == 0.5**4
        assert scales['layer4.0.conv1.weight'] == 0.5

    def test_every_block_of_a_swin_is_a_layer(self):
        scales = self.scales(SwinTransformer())  # 2 + 2 + 6 + 2 blocks
        assert scales['patch_embed.projection.weight'] == 0.5**13
        assert scales['stages.0.blocks.0.norm1.weight'] == 0.5**12
        assert scales['stages.0.blocks.1.norm1.weight'] == 0.5**11
        assert scales['stages.0.downsample.norm.weight'] == 0.5**11
        assert scales['stages.3.blocks.1.ffn.layers.1.weight'] == 0.5
        assert scales['norm3.weight'] == scales['head.weight'] == 1

    def test_every_layer_of_a_vit_is_a_layer(self):
        scales = self.scales(MAE(img_size=(32, 32), embed_dims=48, num_layers=3, num_heads=2))
        assert scales['patch_embed.projection.weight'] == scales['cls_token'] == 0.5**4
        assert scales['layers.0.ln1.weight'] == 0.5**3
        assert scales['layers.2.ffn.layers.1.weight'] == 0.5

    def test_only_the_blocks_of_a_mit_are_layers(self):
        scales = self.scales(MixVisionTransformer(num_layers=[2, 2, 2, 2], num_heads=[1, 2, 4, 8]))
        assert scales['layers.0.0.projection.weight'] == 0.5**9
        assert scales['layers.0.1.0.norm1.weight'] == 0.5**8
        assert scales['layers.0.2.weight'] == scales['layers.1.0.projection.weight'] == 0.5**7
        assert scales['layers.3.1.1.norm1.weight'] == 0.5

    def test_what_ends_the_last_stage_trains_with_it(self):
        scales = self.scales(CSPNeXt(deepen_factor=0.33, widen_factor=0.25))
        assert scales['stage4.2.attention.fc.weight'] == 0.5
        assert scales['stem.0.conv.weight'] < scales['stage1.1.blocks.0.conv1.conv.weight']

    def test_a_darknet_and_a_mscan_have_layers(self):
        for backbone in (Darknet(53), MSCAN(embed_dims=[8, 16, 24, 32], depths=[1, 1, 1, 1])):
            assert len(set(self.scales(backbone).values())) > 4


class Foreign(torch.nn.Module):
    """A backbone of somebody else's, which knows no layers: modules by name, of one parameter each."""

    def __init__(self, *names):
        super().__init__()
        for name in names:
            *path, last = name.split('.')
            module = self
            for part in path:
                if part not in module._modules:
                    module.add_module(part, torch.nn.Module())
                module = module._modules[part]
            module.register_parameter(last, torch.nn.Parameter(torch.ones(2, 2)))


def official_convnext(depths, channels=(8, 16, 32, 64)):
    """The parameters of the official repository's class, in its order: all of the downsampling comes first."""
    ours = ConvNeXt(dict(depths=list(depths), channels=list(channels)))
    names = sorted((name for name, _ in ours.named_parameters()), key=lambda name: not name.startswith('downsample'))
    return Foreign(*names)


class TestForeignBackbones:
    @pytest.mark.parametrize('decay_type', ['layer_wise', 'stage_wise'])
    @pytest.mark.parametrize('depths', [(3, 3, 9, 3), (3, 3, 27, 3)])
    def test_the_official_convnext_decays_as_ours(self, depths, decay_type):
        ours_, foreign = ConvNeXt(dict(depths=list(depths), channels=[8, 16, 32, 64])), official_convnext(depths)
        ids, head = backbone_layer_ids(ours_, decay_type=decay_type)
        assert backbone_layer_ids(foreign, decay_type=decay_type) == (ids, head)

    @pytest.mark.parametrize('depths', [(3, 3, 9, 3), (3, 3, 27, 3)])
    def test_the_official_convnext_decays_as_in_mmdet(self, depths):
        ids, head = backbone_layer_ids(official_convnext(depths), 'backbone.')
        assert ids == {name: get_layer_id_for_convnext(name, head - 1) for name in ids}

    def test_patch_embeddings_before_all_blocks_train_with_the_stage_before_them(self):
        stages = [f'block{i}.{j}.weight' for i in (1, 2, 3, 4) for j in (0, 1)]
        ids, head = backbone_layer_ids(Foreign(*(f'patch_embed{i}.weight' for i in (1, 2, 3, 4)), *stages))
        assert [ids[f'patch_embed{i}.weight'] for i in (1, 2, 3, 4)] == [0, 2, 4, 6]
        assert head == 9

    def test_transitions_after_all_stages_train_with_the_stage_before_them(self):
        stages = [f'stages.{i}.blocks.{j}.weight' for i in range(4) for j in range(2)]
        names = ['stem.0.weight', *stages, *(f'transitions.{i}.weight' for i in range(3)), 'norm.weight']
        ids, _ = backbone_layer_ids(Foreign(*names))
        assert [ids[f'transitions.{i}.weight'] for i in range(3)] == [2, 4, 6]
        assert (ids['stem.0.weight'], ids['norm.weight']) == (0, 9)

    @pytest.mark.parametrize('decay_type', ['layer_wise', 'stage_wise'])
    @pytest.mark.parametrize('steps', [2, 5])
    def test_downsampling_that_cannot_be_placed_is_an_error(self, steps, decay_type):
        stages = [f'stages.{i}.{j}.weight' for i in range(4) for j in range(2)]
        foreign = Foreign(*(f'downsamples.{i}.weight' for i in range(steps)), *stages)
        with pytest.raises(ValueError, match=f'Foreign: its downsampling, downsamples with {steps} steps, cannot be'):
            backbone_layer_ids(foreign, decay_type=decay_type)


class TestWrongSettings:
    @pytest.mark.parametrize(
        ('settings', 'message'),
        [
            (dict(), 'decay_rate must be above 0 and at most 1; got None'),
            (dict(decay_rate=1.5), 'decay_rate.*got 1.5'),
            (dict(decay_rate=0.9, decay_type='blockwise'), "layer_wise, stage_wise; got 'blockwise'"),
            (dict(decay_rate=0.9, num_layers=12), 'num_layers is 12, but this ConvNeXt has 6'),
            (dict(decay_rate=0.9, decay_type='stage_wise', num_layers=3), 'at least 4.*got 3'),
        ],
    )
    def test_are_named_with_what_is_allowed(self, tiny, settings, message):
        with pytest.raises(ValueError, match=message):
            ours(tiny, **settings)

    def test_a_model_without_a_backbone(self):
        with pytest.raises(ValueError, match="no module named 'backbone'"):
            ours(torch.nn.Linear(2, 2), decay_rate=0.9)

    def test_a_backbone_whose_layers_cannot_be_recognized(self):
        with pytest.raises(ValueError, match=r'Sequential.*get_layer_depth'):
            ours(Model(torch.nn.Sequential(torch.nn.Linear(2, 2))), decay_rate=0.9)

    def test_an_optimizer_without_a_learning_rate(self, tiny):
        with pytest.raises(ValueError, match=r'optimizer\.lr'):
            LayerDecayOptimWrapperConstructor(dict(optimizer=dict(type='AdamW')), dict(decay_rate=0.9))
