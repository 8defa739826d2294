"""ResNet-18-vd and ResNet-34-vd: timm's ResNet-D with a convolution in the first shortcut."""

import pytest
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

    def test_the_shortcut_is_frozen_with_its_stage(self):
        backbone = ResNetVD('resnet18d', frozen_stages=1).train()
        stage = backbone.model.layer1
        assert not any(parameter.requires_grad for parameter in stage.parameters())
        assert not any(module.training for module in stage.modules())
        assert all(parameter.requires_grad for parameter in backbone.model.layer2.parameters())

    def test_weights_that_do_not_fit_leave_the_shortcut(self):
        backbone = ResNetVD('resnet18d')
        with pytest.raises(RuntimeError):
            backbone.load_timm_weights(timm.create_model('resnet34d').state_dict())
        assert backbone.model.layer1[0].downsample is not None

    @pytest.mark.parametrize('name', ['resnet18', 'resnet50d'])
    def test_other_models_are_refused(self, name):
        with pytest.raises(ValueError, match='must be one of resnet18d, resnet34d; got'):
            ResNetVD(name)
