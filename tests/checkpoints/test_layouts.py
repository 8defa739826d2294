import pytest
import torch
from mmengine.runner import load_checkpoint

from convnext_dense.backbones import ConvNeXt

SMALL = dict(depths=[1, 1, 2, 1], channels=[8, 16, 24, 32])


@pytest.fixture
def source():
    model = ConvNeXt(SMALL, use_grn=True)
    for param in model.parameters():
        torch.nn.init.normal_(param)
    return model


@pytest.fixture
def target():
    return ConvNeXt(SMALL, use_grn=True, init_cfg=None)


def mmpretrain_names(state_dict, linear):
    renamed = {}
    for name, tensor in state_dict.items():
        name = name.replace('dwconv', 'depthwise_conv').replace('pwconv', 'pointwise_conv')
        if '.grn.' in name:
            tensor = tensor.flatten()
        if 'pointwise' in name and 'weight' in name and not linear:
            tensor = tensor[:, :, None, None]
        renamed[name] = tensor
    return renamed


def assert_same_weights(one, other):
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


@pytest.mark.parametrize('linear', [True, False])
def test_mmpretrain_weights_load_by_its_configs_init_cfg(source, target, tmp_path, linear):
    weights = mmpretrain_names(source.state_dict(), linear)
    file = tmp_path / 'mmpretrain.pth'
    torch.save({'state_dict': {f'backbone.{name}': each for name, each in weights.items()}}, file)
    target.init_cfg = dict(type='Pretrained', checkpoint=str(file), prefix='backbone.')
    target.init_weights()
    assert_same_weights(source, target)


def test_an_official_classifier_loads_all_but_its_head_and_the_other_output_norms(source, target, tmp_path):
    weights = {k: v for k, v in source.state_dict().items() if not k.startswith('norm')}
    weights |= {f'norm.{name}': p for name, p in source.norm3.state_dict().items()}
    weights |= {'head.weight': torch.rand(10, 32), 'head.bias': torch.rand(10)}
    torch.save({'model': weights}, tmp_path / 'official.pth')
    fresh_norms = {name: getattr(target, name).state_dict() for name in ('norm0', 'norm1', 'norm2')}
    target.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'official.pth'))
    target.init_weights()
    for name, state in fresh_norms.items():
        getattr(source, name).load_state_dict(state)
    assert_same_weights(source, target)


def test_a_whole_model_of_mmpretrain_names_loads(source, target, tmp_path):
    weights = mmpretrain_names(source.state_dict(), linear=True)
    model = torch.nn.ModuleDict(dict(backbone=target, head=torch.nn.Linear(2, 2)))
    weights = {f'backbone.{name}': each for name, each in weights.items()}
    weights |= {'head.weight': torch.ones(2, 2), 'head.bias': torch.ones(2)}
    torch.save({'state_dict': weights}, tmp_path / 'detector.pth')
    load_checkpoint(model, str(tmp_path / 'detector.pth'), strict=True)
    assert_same_weights(source, target)
    assert model['head'].weight.unique() == 1
