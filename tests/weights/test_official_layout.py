"""Files of the official repositories, built from their names and shapes."""

from pathlib import Path

import pytest
import torch
from helpers import official_models as official
from helpers.backbones_and_sources import accounted, v1, v2
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint

from convnext_dense.backbones import ConvNeXt
from convnext_dense.weights import load_pretrained

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
ARCHS = [(v1, 'tiny'), (v1, 'small'), (v2, 'atto'), (v2, 'nano')]


def assert_equal(module, expected):
    state = module.state_dict()
    for name, tensor in expected.items():
        assert torch.equal(state[name], tensor), name


@pytest.mark.parametrize('wrapper', ['model', 'model_ema'])
@pytest.mark.parametrize(('backbone', 'arch'), ARCHS)
def test_a_classifier(backbone, arch, wrapper, save):
    weights = official.random_tensors(official.classifier(*ConvNeXt.arch_settings[arch], backbone is v2))
    ours = backbone(arch)
    report = load_pretrained(ours, save({wrapper: weights}))
    assert (report.layout, accounted(report)) == ('official', len(weights))
    assert report.dropped == {'the classifier': [f'{wrapper}.head.weight', f'{wrapper}.head.bias']}
    expected = {name.replace('norm.', 'norm3.') if name.startswith('norm.') else name: t for name, t in weights.items()}
    assert_equal(ours, {name: t for name, t in expected.items() if not name.startswith('head.')})


@pytest.mark.parametrize('arch', ['atto', 'tiny'])
def test_fcmae_pre_training_in_sparse_layers(arch, save):
    depths, dims = ConvNeXt.arch_settings[arch]
    dense = official.random_tensors(official.backbone(depths, dims, v2=True))
    decoder = official.random_tensors(official.fcmae_decoder(dims))
    ours = v2(arch)
    report = load_pretrained(ours, save(dict(model=official.sparse(dense) | decoder)))
    assert (report.layout, report.prefix) == ('official FCMAE, sparse', 'model.encoder.')
    assert accounted(report) == len(dense) + len(decoder)
    assert set(report.dropped['outside the backbone']) == {f'model.{name}' for name in decoder}
    assert len(report.new) == 8
    assert_equal(ours, dense)


def test_dinov3s_own_file_has_its_final_norm_twice(save):
    weights = official.random_tensors(official.backbone(*ConvNeXt.arch_settings['atto']))
    norm = {'weight': torch.rand(320), 'bias': torch.rand(320)}
    weights |= {f'{name}.{p}': tensor for name in ('norm', 'norms.3') for p, tensor in norm.items()}
    ours = v1('atto')
    report = load_pretrained(ours, save(weights))
    assert report.dropped == {'copies of the final norm': ['norms.3.weight', 'norms.3.bias']}
    assert_equal(ours.norm3, norm)


MODELS_OF_CONFIGS = {
    'mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py': official.mask_rcnn,
    'cascade_mask_rcnn/cascade-mask-rcnn_convnext-t_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py': (
        official.cascade_mask_rcnn
    ),
    'upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py': official.upernet,
}
OPENMMLAB = (('dwconv', 'depthwise_conv'), ('pwconv', 'pointwise_conv'))


def build(config):
    cfg = Config.fromfile(CONFIGS / config)
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model)


@pytest.mark.parametrize('openmmlab', [False, True], ids=['official', 'openmmlab'])
@pytest.mark.parametrize('config', MODELS_OF_CONFIGS)
def test_detectors_and_segmenters_load_whole(config, openmmlab, save):
    """In the official names of the mmdet 2 era, and in OpenMMLab's, which are mmpretrain's in the backbone."""
    weights = official.random_tensors(MODELS_OF_CONFIGS[config](*ConvNeXt.arch_settings['tiny']))
    file = dict(weights)
    if openmmlab:
        for ours, theirs in OPENMMLAB:
            file = {name.replace(ours, theirs): tensor for name, tensor in file.items()}
    model = build(config)
    load_checkpoint(model, save(dict(meta=dict(CLASSES=('person',), epoch=36), state_dict=file)), strict=True)
    assert model.state_dict().keys() == weights.keys()
    assert_equal(model, weights)
