"""ResNet-18-vd and ResNet-34-vd: timm's ResNet-D with a convolution in the first shortcut."""

import timm
import torch

from convnext_dense.backbones import ResNetVD, TimmBackbone

SHORTCUT = 'model.layer1.0.downsample.'


class TestResNetVD:
    def test_has_one_more_shortcut_than_timms(self):
        names = (set(backbone('resnet18d').state_dict()) for backbone in (ResNetVD, TimmBackbone))
        more = next(names) - next(names)
        assert more
        assert all(name.startswith(SHORTCUT) for name in more)

    def test_timms_weights_give_timms_maps(self):
        weights = timm.create_model('resnet18d').state_dict()
        backbones = [backbone('resnet18d').eval() for backbone in (ResNetVD, TimmBackbone)]
        for backbone in backbones:
            backbone.load_timm_weights(weights)
        image = torch.rand(1, 3, 64, 96)
        for ours, timms in zip(*(backbone(image) for backbone in backbones), strict=True):
            torch.testing.assert_close(ours, timms, rtol=1e-4, atol=1e-4)

    def test_the_shortcut_decays_with_its_block(self):
        backbone = ResNetVD('resnet18d')
        depths = {
            backbone.get_layer_depth(f'backbone.{name}', 'backbone.')
            for name, _ in backbone.named_parameters()
            if name.startswith('model.layer1.0.')
        }
        assert len(depths) == 1

    def test_frozen_norms_include_the_shortcuts(self):
        backbone = ResNetVD('resnet18d', norm_eval=True).train()
        assert not backbone.model.layer1[0].downsample[2].training
