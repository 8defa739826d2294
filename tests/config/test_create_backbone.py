"""A backbone by its name, with its weights and its preprocessing."""

import pytest
import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor

import convnext_dense
from convnext_dense import ConvNeXt, create_backbone
from convnext_dense.errors import CheckpointError, UsageError


class TestCreateBackbone:
    def test_a_convnext_has_its_maps_and_imagenets_normalization(self):
        backbone, out_channels, data_preprocessor = create_backbone('convnext_atto', pretrained=False)
        maps = backbone(torch.rand(1, 3, 64, 64))
        assert isinstance(backbone, ConvNeXt)
        assert [x.shape[1] for x in maps] == out_channels == [40, 80, 160, 320]
        assert data_preprocessor == dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
        assert DetDataPreprocessor(**data_preprocessor)

    def test_arguments_are_in_the_name(self):
        backbone, out_channels, _ = create_backbone('convnextv2_atto(out_indices=(1, 3), in_channels=4)', False)
        assert out_channels == [80, 320]
        assert [x.shape[1] for x in backbone(torch.rand(1, 4, 64, 64))] == [80, 320]

    @pytest.mark.parametrize('name', ['timm/resnet18', 'mmdet/ResNet(depth=18)'])
    def test_other_backbones_have_names_too(self, name):
        backbone, out_channels, _ = create_backbone(name, pretrained=False)
        assert out_channels == [64, 128, 256, 512]
        assert len(backbone(torch.rand(1, 3, 64, 64))) == 4

    def test_clip_weights_have_clips_normalization(self, monkeypatch):
        monkeypatch.setattr(ConvNeXt, 'init_weights', lambda self: None)
        assert create_backbone('convnext_base_clip_laion2b').data_preprocessor['mean'] == [122.771, 116.746, 104.094]

    def test_the_weights_are_loaded(self, tmp_path):
        file = tmp_path / 'atto.pth'
        torch.save(ConvNeXt('atto').state_dict(), file)
        backbone, *_ = create_backbone(f"convnext_atto(init_cfg=dict(type='Pretrained', checkpoint='{file}'))")
        assert torch.equal(backbone.stages[3][1].pwconv2.weight, torch.load(file)['stages.3.1.pwconv2.weight'])

    @pytest.mark.parametrize(
        ('name', 'message'),
        [
            ('convnext_tyni_in1k', 'similar names are'),
            ('convnext_tiny(depth=3)', "backbone convnext_tiny.*unexpected keyword argument 'depth'"),
            ('convnext_tiny(frozen_stages=9)', 'frozen_stages must be from 0'),
        ],
    )
    def test_a_wrong_name_or_argument_is_an_error(self, name, message):
        with pytest.raises(UsageError, match=message):
            create_backbone(name, pretrained=False)

    def test_weights_that_are_not_there_are_an_error(self):
        with pytest.raises(CheckpointError, match='no checkpoint file'):
            create_backbone("convnext_atto(init_cfg=dict(type='Pretrained', checkpoint='nowhere.pth'))")


def test_the_package_exports_the_names_that_configs_write():
    assert [getattr(convnext_dense, name).__name__ for name in convnext_dense.EXPORTS] == list(convnext_dense.EXPORTS)
