"""TimmBackbone against timm itself."""

from contextlib import nullcontext

import pytest
import timm
import torch
from mmengine.registry import MODELS
from torch import nn

from convnext_dense.backbones import TimmBackbone
from convnext_dense.errors import CheckpointError
from convnext_dense.layers import SimpleFeaturePyramid
from convnext_dense.meta_device import without_allocating

# timm's own classes with few blocks, so that tests are fast.
TINY_SWIN = dict(model_name='swin_tiny_patch4_window7_224', model_args=dict(depths=(1, 1, 1, 1)))
TINY_VIT = dict(model_name='vit_tiny_patch16_224', model_args=dict(depth=2))
TINY_EVA = dict(model_name='eva02_tiny_patch14_224', model_args=dict(depth=2))


def image(height=64, width=96, batch=1):
    return torch.rand(batch, 3, height, width)


class TestMaps:
    @pytest.mark.parametrize(
        ('name', 'options'),
        [
            ('resnet18', {}),
            ('efficientnet_b0', {}),
            ('swin_tiny_patch4_window7_224', dict(strict_img_size=False, depths=(1, 1, 1, 1))),
            ('convnext_atto', {}),
            ('mobilevitv2_050', {}),
        ],
    )
    def test_of_a_hierarchical_model_are_timms_own(self, name, options):
        backbone = TimmBackbone(name, model_args=options).eval()
        theirs = timm.create_model(name, num_classes=0, **options).eval()
        theirs.load_state_dict(backbone.model.state_dict(), strict=False)
        reductions = [info['reduction'] for info in theirs.feature_info]
        last = [max(i for i, reduction in enumerate(reductions) if reduction == stride) for stride in (4, 8, 16, 32)]
        # mobilevitv2's last stage takes multiples of 64.
        x = image(128, 192)
        with torch.no_grad():
            expected = theirs.forward_intermediates(x, indices=last, intermediates_only=True)
            maps = backbone(x)
        for actual, timms in zip(maps, expected, strict=True):
            assert torch.equal(actual, timms)

    def test_of_a_plain_model_are_a_pyramid_of_its_last_map(self):
        backbone = TimmBackbone(**TINY_VIT).eval()
        x = image()
        with torch.no_grad():
            tokens = backbone.model.forward_features(x)
            last = tokens[:, 1:].transpose(1, 2).reshape(1, 192, 4, 6)
            maps = backbone(x)
            for actual, level in zip(maps, backbone.pyramid(last), strict=True):
                torch.testing.assert_close(actual, level)
        assert [tuple(y.shape[1:]) for y in maps] == [(256, 16, 24), (256, 8, 12), (256, 4, 6), (256, 2, 3)]

    @pytest.mark.parametrize('options', [dict(model_name='resnet18'), TINY_SWIN, TINY_VIT])
    def test_have_the_images_size_rounded_up(self, options):
        backbone = TimmBackbone(**options).eval()
        for size in [(65, 99), (33, 31)]:
            for y, stride in zip(backbone(image(*size)), (4, 8, 16, 32), strict=True):
                assert y.shape[-2:] == (-(-size[0] // stride), -(-size[1] // stride))

    def test_of_a_padded_image_are_cropped(self):
        backbone = TimmBackbone('vit_tiny_patch16_224', model_args=dict(depth=1)).eval()
        x = image(50, 70)
        padded = torch.zeros(1, 3, 64, 96)
        padded[..., :50, :70] = x
        for cropped, whole in zip(backbone(x), backbone(padded), strict=True):
            torch.testing.assert_close(cropped, whole[..., : cropped.shape[2], : cropped.shape[3]])

    def test_can_be_chosen(self):
        backbone = TimmBackbone('resnet18', out_indices=(1, 2))
        assert [y.shape[1:] for y in backbone(image())] == [(128, 8, 12), (256, 4, 6)]
        assert not list(backbone.model.layer4.parameters())

    def test_pass_output_norms(self):
        backbone = TimmBackbone('resnet18', output_norm=True)
        for i, y in enumerate(backbone(image())):
            assert getattr(backbone, f'norm{i}').weight.shape == y.shape[1:2]
            torch.testing.assert_close(y.mean(1), torch.zeros_like(y.mean(1)), atol=1e-5, rtol=0)

    @pytest.mark.parametrize('name', ['vit_small_patch14_dinov2', 'eva02_tiny_patch14_224'])
    def test_a_patch_of_14_becomes_one_of_16(self, name):
        backbone = TimmBackbone(name, model_args=dict(depth=1))
        assert backbone.model.patch_embed.proj.kernel_size == (16, 16)
        assert [y.shape[-1] for y in backbone(image())] == [24, 12, 6, 3]

    def test_the_registry_builds_it_with_other_input_channels(self):
        cfg = dict(type='convnext_dense.TimmBackbone', model_name='resnet18', in_channels=5)
        assert len(MODELS.build(cfg)(torch.rand(2, 5, 64, 64))) == 4


class TestPyramid:
    @pytest.mark.parametrize('stride', [8, 16, 32])
    def test_takes_a_map_of_any_stride(self, stride):
        levels = SimpleFeaturePyramid(64, stride, (4, 8, 16, 32), 32)(torch.rand(2, 64, 128 // stride, 64 // stride))
        assert [tuple(y.shape) for y in levels] == [(2, 32, 128 // s, 64 // s) for s in (4, 8, 16, 32)]

    def test_the_layers_are_vitdets(self):
        level = SimpleFeaturePyramid(64, 16, (4,), 32).levels[0]
        assert [type(layer).__name__ for layer in level] == [
            *('ConvTranspose2d', 'LayerNorm2d', 'GELU', 'ConvTranspose2d'),
            *('Conv2d', 'LayerNorm2d', 'Conv2d', 'LayerNorm2d'),
        ]
        assert [layer.out_channels for layer in level if isinstance(layer, nn.ConvTranspose2d)] == [32, 16]


class TestImageSize:
    def test_that_a_model_cannot_take_is_refused(self):
        backbone = TimmBackbone('mixer_s16_224')
        with pytest.raises(ValueError, match=r'mixer_s16_224 is built for images of 224 x 224.*got 64 x 96'):
            backbone(image())
        assert len(backbone(image(224, 224))) == 4

    @pytest.mark.parametrize(('name', 'options'), [('beit_base_patch16_224', dict(depth=1)), ('mixer_s16_224', {})])
    def test_can_be_chosen(self, name, options):
        backbone = TimmBackbone(name, model_args=dict(img_size=(64, 96), **options))
        assert [tuple(y.shape[2:]) for y in backbone(image())] == [(16, 24), (8, 12), (4, 6), (2, 3)]

    def test_is_padded_to_a_models_coarser_grid(self):
        with without_allocating():
            backbone = TimmBackbone('maxvit_rmlp_pico_rw_256')
            assert backbone.described.size_divisor == 256
            maps = backbone.eval()(torch.empty(1, 3, 60, 300))
        assert [tuple(y.shape[2:]) for y in maps] == [(15, 75), (8, 38), (4, 19), (2, 10)]


class TestWeights:
    @pytest.mark.parametrize(
        ('name', 'model_args'),
        [
            ('resnet18', {}),
            ('vit_tiny_patch16_224', dict(depth=2)),
            pytest.param('eva02_tiny_patch14_224', dict(depth=2), marks=pytest.mark.full),
        ],
    )
    def test_with_a_classifier_load_as_timm_loads_them(self, save, name, model_args):
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

    def test_of_a_detector_of_ours_load_too(self, save):
        trained = TimmBackbone(**TINY_VIT)
        file = save(dict(state_dict={f'backbone.{key}': tensor for key, tensor in trained.state_dict().items()}))
        backbone = TimmBackbone(**TINY_VIT, init_cfg=dict(type='Pretrained', checkpoint=file))
        backbone.init_weights()
        assert all(torch.equal(a, b) for a, b in zip(backbone.parameters(), trained.parameters(), strict=True))

    @pytest.mark.parametrize(
        ('model', 'skip', 'message'),
        [
            ('resnet10t', 0, "does not fit timm's resnet18: .*Missing key"),
            (None, 0, "does not fit timm's resnet18: .*Missing key"),
            ('resnet18', 6, 'Missing key.*conv1.weight'),
        ],
    )
    def test_of_another_model_are_refused_and_not_loaded(self, save, model, skip, message):
        weights = timm.create_model(model).state_dict() if model else dict(a=torch.zeros(1))
        file = save(dict(list(weights.items())[skip:]))
        backbone = TimmBackbone('resnet18', init_cfg=dict(type='Pretrained', checkpoint=file))
        before = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
        with pytest.raises(CheckpointError, match=message):
            backbone.init_weights()
        assert all(torch.equal(tensor, before[key]) for key, tensor in backbone.state_dict().items())

    def test_are_timms_own_initialization_without_init_cfg(self):
        backbone = TimmBackbone(**TINY_VIT)
        before = [parameter.clone() for parameter in backbone.parameters()]
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
    def test_frozen_stages_stay_frozen_in_eval_mode(self, name, frozen, free):
        with without_allocating():
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

    def test_only_the_output_norms_of_a_frozen_model_train(self):
        backbone = TimmBackbone('resnet18', frozen_stages=4, output_norm=True)
        names = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
        assert names == {f'norm{i}.{which}' for i in range(4) for which in ('weight', 'bias')}

    def test_norm_eval_keeps_batch_norms_statistics(self):
        backbone = TimmBackbone('resnet18', norm_eval=True).train()
        before = backbone.model.bn1.running_mean.clone()
        backbone(image(batch=2))
        assert torch.equal(backbone.model.bn1.running_mean, before)
        assert backbone.model.training
        assert backbone.model.bn1.weight.requires_grad

    @pytest.mark.parametrize(
        'options',
        [
            dict(model_name='resnet18'),
            TINY_VIT,
            pytest.param(TINY_SWIN, marks=pytest.mark.full),
            pytest.param(TINY_EVA, marks=pytest.mark.full),
        ],
    )
    def test_checkpointing_changes_nothing_but_memory(self, options):
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
                loss = sum(y.square().mean() for y in backbone(x))
            loss.backward()
        assert kept[1] < 0.85 * kept[0]
        for (name, actual), expected in zip(checkpointed.named_parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(actual.grad, expected.grad, msg=name)

    def test_drop_path_is_the_models(self):
        for device in (nullcontext(), without_allocating()):
            with device:
                backbone = TimmBackbone('test_convnext', drop_path_rate=0.4)
            rates = [module.drop_prob for module in backbone.modules() if hasattr(module, 'drop_prob')]
            assert max(rates) == pytest.approx(0.4)
