"""Files of the official repositories, built from their names and shapes."""

from pathlib import Path

import pytest
import torch
from helpers.weights import official_models as official
from helpers.weights.backbones_and_sources import SMALL, depths_and_channels, num_reported, v1, v2
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint

from convnext_dense.backbones import ConvNeXt
from convnext_dense.weights import load_pretrained

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
FULL_SIZES = [pytest.param(make, arch, marks=pytest.mark.full) for make, arch in ((v1, 'small'), (v2, 'nano'))]


def assert_equal(module, expected):
    state = module.state_dict()
    for name, tensor in expected.items():
        assert torch.equal(state[name], tensor), name


class TestBackbones:
    @pytest.mark.parametrize('wrapper', ['model', 'model_ema'])
    @pytest.mark.parametrize(('backbone', 'arch'), [(v1, SMALL), (v2, SMALL), *FULL_SIZES])
    def test_a_classifier(self, backbone, arch, wrapper, save):
        weights = official.random_tensors(official.classifier(*depths_and_channels(arch), backbone is v2))
        ours = backbone(arch)
        report = load_pretrained(ours, save({wrapper: weights}))
        assert (report.layout, num_reported(report)) == ('official', len(weights))
        assert report.dropped == {'the classifier': [f'{wrapper}.head.weight', f'{wrapper}.head.bias']}
        renamed = {
            name.replace('norm.', 'norm3.') if name.startswith('norm.') else name: t for name, t in weights.items()
        }
        assert_equal(ours, {name: t for name, t in renamed.items() if not name.startswith('head.')})

    @pytest.mark.parametrize('arch', [SMALL, pytest.param('atto', marks=pytest.mark.full)])
    def test_fcmae_pretraining_in_sparse_layers(self, arch, save):
        depths, dims = depths_and_channels(arch)
        dense = official.random_tensors(official.backbone(depths, dims, v2=True))
        decoder = official.random_tensors(official.fcmae_decoder(dims))
        ours = v2(arch)
        report = load_pretrained(ours, save(dict(model=official.sparse(dense) | decoder)))
        assert (report.layout, report.prefix) == ('official FCMAE, sparse', 'model.encoder.')
        assert num_reported(report) == len(dense) + len(decoder)
        assert set(report.dropped['outside the backbone']) == {f'model.{name}' for name in decoder}
        assert len(report.new) == 8
        assert_equal(ours, dense)

    def test_dinov3_has_its_final_norm_twice(self, save):
        weights = official.random_tensors(official.backbone(*depths_and_channels(SMALL)))
        norm = {'weight': torch.rand(128), 'bias': torch.rand(128)}
        weights |= {f'{name}.{p}': tensor for name in ('norm', 'norms.3') for p, tensor in norm.items()}
        ours = v1()
        report = load_pretrained(ours, save(weights))
        assert report.dropped == {'copies of the final norm': ['norms.3.weight', 'norms.3.bias']}
        assert_equal(ours.norm3, norm)

    def test_eupe_has_projectors_to_its_teachers_besides(self, save):
        """The names are timm's account of the files: facebookresearch/EUPE, whose ConvNeXts are DINOv3's."""
        weights = official.random_tensors(official.backbone(*depths_and_channels(SMALL)))
        norm = {'weight': torch.rand(128), 'bias': torch.rand(128)}
        projectors = {f'projectors.{i}.{p}': torch.rand(64, 128) for i in range(2) for p in ('weight', 'bias')}
        copies = {f'norms.3.{p}': tensor for p, tensor in norm.items()}
        ours = v1()
        report = load_pretrained(
            ours, save(weights | {f'norm.{p}': tensor for p, tensor in norm.items()} | copies | projectors)
        )
        assert report.fits
        assert report.dropped == {
            'copies of the final norm': list(copies),
            'projectors of distillation': list(projectors),
        }
        assert_equal(ours, weights)
        assert_equal(ours.norm3, norm)


CASCADE = 'cascade_mask_rcnn/cascade-mask-rcnn_convnext-t_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py'
MASK_RCNN = 'mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py'
UPERNET = 'upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py'
OPENMMLAB = (('dwconv', 'depthwise_conv'), ('pwconv', 'pointwise_conv'))


def in_openmmlabs_names(weights):
    for ours, theirs in OPENMMLAB:
        weights = {name.replace(ours, theirs): tensor for name, tensor in weights.items()}
    return weights


class TestWholeModels:
    """In the official names of the mmdet 2 era, and in OpenMMLab's, which are mmpretrain's in the backbone."""

    @pytest.mark.parametrize(
        ('config', 'shapes'),
        [
            (MASK_RCNN, official.mask_rcnn),
            pytest.param(CASCADE, official.cascade_mask_rcnn, marks=pytest.mark.full),
            pytest.param(UPERNET, official.upernet, marks=pytest.mark.full),
        ],
        ids=['Mask R-CNN', 'Cascade Mask R-CNN', 'UperNet'],
    )
    def test_load_every_tensor(self, config, shapes, save):
        cfg = Config.fromfile(CONFIGS / config)
        init_default_scope(cfg.default_scope)
        model = MODELS.build(cfg.model)
        weights = official.random_tensors(shapes(*ConvNeXt.arch_settings['tiny']))
        assert model.state_dict().keys() == weights.keys()
        meta = dict(CLASSES=('person',), epoch=36)
        load_checkpoint(model, save(dict(meta=meta, state_dict=weights)), strict=True)
        assert_equal(model, weights)
        weights = {name: -tensor for name, tensor in weights.items()}
        load_checkpoint(model, save(dict(meta=meta, state_dict=in_openmmlabs_names(weights))), strict=True)
        assert_equal(model, weights)
