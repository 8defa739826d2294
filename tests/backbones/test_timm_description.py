"""What is found out about a timm model before its weights are allocated."""

import pytest
import timm
from timm.optim import param_groups_layer_decay
from torch import nn

from convnext_dense.backbones import TimmBackbone
from convnext_dense.backbones.timm_description import prune
from convnext_dense.meta_device import without_allocating
from convnext_dense.optim import LayerDecayOptimWrapperConstructor

TINY_VIT = dict(model_name='vit_tiny_patch16_224', model_args=dict(depth=2))


class Model(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Conv2d(3, 3, 3)


FAMILIES = [
    *('resnet18', 'efficientnet_b0', 'convnextv2_atto', 'swin_tiny_patch4_window7_224', 'mambaout_femto'),
    *('vit_tiny_patch16_224', 'vit_small_patch16_dinov3', 'eva02_tiny_patch14_224', 'fastvit_t8'),
    # It has no groups of its own.
    'poolformerv2_s12',
]


@pytest.mark.parametrize('name', FAMILIES)
def test_layer_decay_and_weight_decay_are_timms_own(name):
    with without_allocating():
        backbone = TimmBackbone(name)
        theirs = timm.create_model(name, **{**backbone.described.arguments, 'num_classes': 1})
    names = {id(parameter): key for key, parameter in theirs.named_parameters()}
    no_decay = theirs.no_weight_decay() if hasattr(theirs, 'no_weight_decay') else ()
    expected = {
        names[id(parameter)]: (group['lr_scale'], group['weight_decay'])
        for group in param_groups_layer_decay(theirs, 0.05, no_decay, layer_decay=0.7)
        for parameter in group['params']
    }
    constructor = LayerDecayOptimWrapperConstructor(
        dict(optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05)), dict(decay_rate=0.7)
    )
    groups = constructor(Model(backbone)).optimizer.param_groups
    own = {key: (group['lr_scale'], group['weight_decay']) for group in groups for key in group['param_names']}
    assert own['head.weight'] == (1, 0.05)
    for key, _ in backbone.model.named_parameters():
        scale, decay = own[f'backbone.model.{key}']
        assert scale == pytest.approx(expected[key][0]), key
        assert decay == expected[key][1], key


class TestMetaDevice:
    @pytest.mark.parametrize('name', FAMILIES)
    def test_has_the_model_that_is_built_elsewhere(self, name):
        with without_allocating():
            backbone = TimmBackbone(name)
            theirs = timm.create_model(name, **backbone.described.arguments, drop_path_rate=0.0)
        prune(theirs, backbone.described.features, backbone.described.is_plain)
        assert repr(backbone.model) == repr(theirs)
        shapes = [(key, tensor.shape) for key, tensor in theirs.state_dict().items()]
        assert [(key, tensor.shape) for key, tensor in backbone.model.state_dict().items()] == shapes


class TestMistakes:
    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(model_name='resnet5o'), "has no model 'resnet5o'; similar ones are .*resnet50"),
            (dict(model_name='resnet18.nope'), "no weights 'nope' of resnet18; it has .*a1_in1k"),
            (dict(model_name='levit_128'), r'levit_128 has no map of stride 4, 8; it has maps of stride 16, 32, 64'),
            (dict(model_name='resnet18', out_indices=(2, 1)), 'out_indices must rise'),
            (dict(model_name='resnet18', out_indices=()), 'at least one map'),
            (dict(model_name='resnet18', frozen_stages=5), 'from 0 .none. to 4 .all stages of resnet18.; got 5'),
            (dict(**TINY_VIT, frozen_stages=3), 'to 2 .all blocks'),
            (dict(model_name='resnet18', model_args=dict(depht=3)), 'cannot build resnet18 with .*depht'),
            (dict(model_name='vgg11', drop_path_rate=0.1), 'cannot build vgg11 with .*drop_path_rate=0.1'),
            (dict(model_name='vgg11', with_cp=True), 'with_cp: vgg11 of timm cannot recompute activations'),
            (dict(model_name='inception_v3'), 'inception_v3 cannot be a backbone'),
            (dict(model_name='convmixer_768_32'), 'convmixer_768_32: its maps have a stride of 7'),
        ],
    )
    def test_are_refused_with_what_is_allowed(self, options, message):
        with pytest.raises(ValueError, match=message):
            TimmBackbone(**options)
