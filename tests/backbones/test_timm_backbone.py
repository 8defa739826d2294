"""TimmBackbone against timm itself."""

import pytest
import timm
import torch
from mmengine.registry import MODELS
from timm.optim import param_groups_layer_decay
from torch import nn

from convnext_dense.backbones import TimmBackbone
from convnext_dense.errors import CheckpointError
from convnext_dense.layers import SimpleFeaturePyramid
from convnext_dense.meta_device import without_allocating
from convnext_dense.optim import LayerDecayOptimWrapperConstructor

# Small ViTs, so that tests are fast: timm's own classes at a few blocks.
TINY_VIT = dict(model_name='vit_tiny_patch16_224', model_args=dict(depth=2))
TINY_EVA = dict(model_name='eva02_tiny_patch14_224', model_args=dict(depth=2))


def image(height=64, width=96, batch=1):
    return torch.rand(batch, 3, height, width)


class TestMaps:
    @pytest.mark.parametrize(
        'name', ['resnet18', 'efficientnet_b0', 'swin_tiny_patch4_window7_224', 'convnext_atto', 'mobilevitv2_050']
    )
    def test_of_a_hierarchical_model_are_timms_own(self, name):
        backbone = TimmBackbone(name).eval()
        options = dict(strict_img_size=False) if 'swin' in name else {}
        theirs = timm.create_model(name, features_only=True, **options).eval()
        reductions = theirs.feature_info.reduction()
        # mobilevitv2's last stage takes multiples of 64.
        x = image(128, 192)
        full = timm.create_model(name, num_classes=0, **options).eval()
        full.load_state_dict(backbone.model.state_dict(), strict=False)
        indices = [reductions.index(stride) for stride in (4, 8, 16, 32)]
        with torch.no_grad():
            expected = full.forward_intermediates(x, indices=indices, intermediates_only=True)
            maps = backbone(x)
        for ours, each in zip(maps, expected, strict=True):
            assert torch.equal(ours, each)

    def test_of_a_plain_model_are_a_pyramid_of_its_last_map(self):
        backbone = TimmBackbone(**TINY_VIT).eval()
        x = image()
        with torch.no_grad():
            tokens = backbone.model.forward_features(x)
            last = tokens[:, 1:].transpose(1, 2).reshape(1, 192, 4, 6)
            for ours, level in zip(backbone(x), backbone.pyramid(last), strict=True):
                torch.testing.assert_close(ours, level)
        assert [tuple(each.shape[1:]) for each in backbone(x)] == [
            (256, 16, 24),
            (256, 8, 12),
            (256, 4, 6),
            (256, 2, 3),
        ]

    @pytest.mark.parametrize('name', ['resnet18', 'swin_tiny_patch4_window7_224', 'vit_tiny_patch16_224'])
    @pytest.mark.parametrize('size', [(65, 99), (33, 31)])
    def test_of_any_size_are_that_of_the_image_rounded_up(self, name, size):
        maps = TimmBackbone(name).eval()(image(*size))
        for each, stride in zip(maps, (4, 8, 16, 32), strict=True):
            assert each.shape[-2:] == (-(-size[0] // stride), -(-size[1] // stride))

    def test_of_a_padded_image_are_the_cropped_ones_of_the_padded(self):
        backbone = TimmBackbone('vit_tiny_patch16_224', model_args=dict(depth=1)).eval()
        x = image(50, 70)
        padded = torch.zeros(1, 3, 64, 96)
        padded[..., :50, :70] = x
        for cropped, whole in zip(backbone(x), backbone(padded), strict=True):
            torch.testing.assert_close(cropped, whole[..., : cropped.shape[2], : cropped.shape[3]])

    def test_can_be_chosen(self):
        backbone = TimmBackbone('resnet18', out_indices=(1, 2))
        assert [each.shape[1:] for each in backbone(image())] == [(128, 8, 12), (256, 4, 6)]
        assert not list(backbone.model.layer4.parameters())

    def test_have_a_norm_each_where_asked_for(self):
        backbone = TimmBackbone('resnet18', output_norm=True)
        for i, each in enumerate(backbone(image())):
            assert getattr(backbone, f'norm{i}').weight.shape == each.shape[1:2]
            torch.testing.assert_close(each.mean(1), torch.zeros_like(each.mean(1)), atol=1e-5, rtol=0)

    @pytest.mark.parametrize('name', ['vit_small_patch14_dinov2', 'eva02_tiny_patch14_224'])
    def test_a_patch_of_14_becomes_one_of_16(self, name):
        backbone = TimmBackbone(name, model_args=dict(depth=1))
        assert backbone.model.patch_embed.proj.kernel_size == (16, 16)
        assert [each.shape[-1] for each in backbone(image())] == [24, 12, 6, 3]

    def test_the_registry_builds_it_with_other_input_channels(self):
        cfg = dict(type='convnext_dense.TimmBackbone', model_name='resnet18', in_channels=5)
        assert len(MODELS.build(cfg)(torch.rand(2, 5, 64, 64))) == 4


class TestPyramid:
    @pytest.mark.parametrize('stride', [8, 16, 32])
    def test_levels_from_maps_of_any_stride(self, stride):
        levels = SimpleFeaturePyramid(64, stride, (4, 8, 16, 32), 32)(torch.rand(2, 64, 128 // stride, 64 // stride))
        assert [tuple(each.shape) for each in levels] == [(2, 32, 128 // s, 64 // s) for s in (4, 8, 16, 32)]

    def test_the_layers_are_vitdets(self):
        level = SimpleFeaturePyramid(64, 16, (4,), 32).levels[0]
        assert [type(each).__name__ for each in level] == [
            *('ConvTranspose2d', 'LayerNorm2d', 'GELU', 'ConvTranspose2d'),
            *('Conv2d', 'LayerNorm2d', 'Conv2d', 'LayerNorm2d'),
        ]
        assert [each.out_channels for each in level if isinstance(each, nn.ConvTranspose2d)] == [32, 16]


class TestSizesThatAModelCannotTake:
    def test_are_refused_with_the_reason(self):
        backbone = TimmBackbone('mixer_s16_224')
        with pytest.raises(ValueError, match=r'mixer_s16_224 is built for images of 224 x 224.*got 64 x 96'):
            backbone(image())
        assert len(backbone(image(224, 224))) == 4

    @pytest.mark.parametrize(('name', 'options'), [('beit_base_patch16_224', dict(depth=1)), ('mixer_s16_224', {})])
    def test_can_be_built_for(self, name, options):
        backbone = TimmBackbone(name, model_args=dict(img_size=(64, 96), **options))
        assert [tuple(each.shape[2:]) for each in backbone(image())] == [(16, 24), (8, 12), (4, 6), (2, 3)]

    def test_that_need_a_coarser_grid_are_padded_to_it(self):
        backbone = TimmBackbone('maxvit_rmlp_pico_rw_256').eval()
        assert backbone.described.size_divisor == 256
        assert [tuple(each.shape[2:]) for each in backbone(image(60, 300))] == [(15, 75), (8, 38), (4, 19), (2, 10)]


class TestWeights:
    """Saved as timm publishes them, with the classifier."""

    @pytest.mark.parametrize(
        ('name', 'model_args'),
        [
            ('resnet18', {}),
            ('vit_tiny_patch16_224', dict(depth=2)),
            ('eva02_tiny_patch14_224', dict(depth=2)),
        ],
    )
    def test_load_as_timm_loads_them(self, save, name, model_args):
        file = save(timm.create_model(name, **model_args).state_dict())
        backbone = TimmBackbone(name, model_args=model_args, init_cfg=dict(type='Pretrained', checkpoint=file))
        theirs = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=dict(file=file), **backbone.described.arguments
        ).state_dict()
        before = {key: tensor.clone() for key, tensor in backbone.model.state_dict().items()}
        backbone.init_weights()
        own = backbone.model.state_dict()
        assert all(torch.equal(tensor, theirs[key]) for key, tensor in own.items())
        assert not all(torch.equal(tensor, before[key]) for key, tensor in own.items())

    def test_of_a_detector_of_this_package_load_too(self, save):
        trained = TimmBackbone(**TINY_VIT)
        file = save(dict(state_dict={f'backbone.{key}': tensor for key, tensor in trained.state_dict().items()}))
        backbone = TimmBackbone(**TINY_VIT, init_cfg=dict(type='Pretrained', checkpoint=file))
        backbone.init_weights()
        assert all(torch.equal(a, b) for a, b in zip(backbone.parameters(), trained.parameters(), strict=True))

    @pytest.mark.parametrize(
        ('weights', 'message'),
        [
            (
                dict(timm.create_model('resnet10t').state_dict()),
                "does not fit timm's resnet18: .*Missing key",
            ),
            (dict(a=torch.zeros(1)), "does not fit timm's resnet18: .*Missing key"),
            (dict(list(timm.create_model('resnet18').state_dict().items())[6:]), 'Missing key.*conv1.weight'),
        ],
    )
    def test_of_another_model_are_refused_and_nothing_is_loaded(self, save, weights, message):
        backbone = TimmBackbone('resnet18', init_cfg=dict(type='Pretrained', checkpoint=save(weights)))
        before = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
        with pytest.raises(CheckpointError, match=message):
            backbone.init_weights()
        assert all(torch.equal(tensor, before[key]) for key, tensor in backbone.state_dict().items())

    def test_without_init_cfg_timms_own_initialisation_stays(self):
        backbone = TimmBackbone(**TINY_VIT)
        before = [each.clone() for each in backbone.parameters()]
        backbone.init_weights()
        assert all(torch.equal(a, b) for a, b in zip(backbone.parameters(), before, strict=True))


class TestTraining:
    @pytest.mark.parametrize(
        ('name', 'frozen', 'free'),
        [
            ('resnet18', ['conv1.', 'bn1.', 'layer1.', 'layer2.'], ['layer3.', 'layer4.']),
            ('efficientnet_b0', ['conv_stem.', 'blocks.0.', 'blocks.1.', 'blocks.2.'], ['blocks.3.', 'blocks.5.']),
            ('swin_tiny_patch4_window7_224', ['patch_embed.', 'layers.0.', 'layers.1.'], ['layers.2.', 'layers.3.']),
            ('vit_tiny_patch16_224', ['cls_token', 'pos_embed', 'blocks.1.'], ['blocks.2.', 'norm.']),
        ],
    )
    def test_frozen_stages_have_no_gradients_and_stay_in_eval_mode(self, name, frozen, free):
        backbone = TimmBackbone(name, frozen_stages=2, drop_path_rate=0.1).train()
        for key, parameter in backbone.model.named_parameters():
            if key.startswith(tuple(frozen)):
                assert not parameter.requires_grad, key
            if key.startswith(tuple(free)):
                assert parameter.requires_grad, key
        for key, module in backbone.model.named_modules():
            if f'{key}.'.startswith(tuple(frozen)):
                assert not module.training, key
            if f'{key}.'.startswith(tuple(free)):
                assert module.training, key

    def test_all_of_it_can_be_frozen_but_its_norms_and_pyramid(self):
        backbone = TimmBackbone('resnet18', frozen_stages=4, output_norm=True)
        names = {name for name, each in backbone.named_parameters() if each.requires_grad}
        assert names == {f'norm{i}.{which}' for i in range(4) for which in ('weight', 'bias')}

    def test_norm_eval_keeps_batch_norms_statistics(self):
        backbone = TimmBackbone('resnet18', norm_eval=True).train()
        before = backbone.model.bn1.running_mean.clone()
        backbone(image(batch=2))
        assert torch.equal(backbone.model.bn1.running_mean, before)
        assert backbone.model.training
        assert backbone.model.bn1.weight.requires_grad

    @pytest.mark.parametrize(
        'options', [dict(model_name='resnet18'), dict(model_name='swin_tiny_patch4_window7_224'), TINY_VIT, TINY_EVA]
    )
    def test_activation_checkpointing_changes_memory_alone(self, options):
        plain, checkpointed = TimmBackbone(**options), TimmBackbone(**options, with_cp=True)
        checkpointed.load_state_dict(plain.state_dict())
        x = image(batch=2)
        kept = []
        for backbone in (plain, checkpointed):
            backbone.train()
            kept.append(0)

            def keep(tensor):
                kept[-1] += tensor.numel()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                loss = sum(each.square().mean() for each in backbone(x))
            loss.backward()
        assert kept[1] < 0.85 * kept[0]
        for (name, ours), theirs in zip(checkpointed.named_parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, msg=name)

    def test_drop_path_is_the_models(self):
        rates = [
            each.drop_prob
            for each in TimmBackbone('convnext_atto', drop_path_rate=0.4).modules()
            if hasattr(each, 'drop_prob')
        ]
        assert max(rates) == pytest.approx(0.4)


class Model(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Conv2d(3, 3, 3)


@pytest.mark.parametrize(
    'name',
    [
        *('resnet18', 'efficientnet_b0', 'convnextv2_atto', 'swin_tiny_patch4_window7_224', 'mambaout_femto'),
        *('vit_tiny_patch16_224', 'vit_small_patch16_dinov3', 'eva02_tiny_patch14_224', 'fastvit_t8'),
        # It has no groups of its own.
        'poolformerv2_s12',
    ],
)
def test_layer_decay_and_weight_decay_are_timms_own(name):
    with without_allocating():
        backbone = TimmBackbone(name)
        theirs = timm.create_model(name, **{**backbone.described.arguments, 'num_classes': 1})
    names = {id(each): key for key, each in theirs.named_parameters()}
    no_decay = theirs.no_weight_decay() if hasattr(theirs, 'no_weight_decay') else ()
    expected = {
        names[id(each)]: (group['lr_scale'], group['weight_decay'])
        for group in param_groups_layer_decay(theirs, 0.05, no_decay, layer_decay=0.7)
        for each in group['params']
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
            (dict(model_name='inception_v3'), 'inception_v3 cannot be a backbone'),
            (dict(model_name='convmixer_768_32'), 'convmixer_768_32: its maps have a stride of 7'),
        ],
    )
    def test_are_named_with_what_is_allowed(self, options, message):
        with pytest.raises(ValueError, match=message):
            TimmBackbone(**options)
