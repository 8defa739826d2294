"""A config as OpenMMLab would write it."""

import copy
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import mmcv
import mmdet
import mmseg
import pytest
from helpers.demo_runs import CONFIGS, DETECTOR, SEGMENTER
from mmengine.config import Config

from benchmarks.training.openmmlab import mmcv_ops, openmmlab_config
from convnext_dense.compat.imports.mmcv_ext import EXT_FILE
from convnext_dense.config import enable_speed, load_config
from convnext_dense.config.speed.switches import SWITCHES
from convnext_dense.errors import UsageError

CASCADE = CONFIGS / 'cascade_mask_rcnn/cascade-mask-rcnn_convnext-t_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py'
MASK2FORMER = CONFIGS / 'mask2former/mask2former_convnext-t_8xb2-lsj-50e_coco.py'


@pytest.fixture(scope='module')
def configs():
    return {path: load_config(str(path)) for path in (DETECTOR, SEGMENTER, CASCADE, MASK2FORMER)}


class TestOpenMMLabConfig:
    def test_has_none_of_our_backbones_options(self, configs):
        cfg = copy.deepcopy(configs[SEGMENTER])
        cfg.model.backbone.update(kernels='triton', recompute_hidden=True)
        assert not {'kernels', 'recompute_hidden'} & set(openmmlab_config(cfg).model.backbone)

    @pytest.mark.parametrize('path', [DETECTOR, SEGMENTER, CASCADE, MASK2FORMER], ids=lambda path: path.parent.name)
    def test_has_none_of_our_switches(self, configs, path):
        cfg = copy.deepcopy(configs[path])
        enable_speed(cfg, list(SWITCHES))
        cfg.custom_hooks.append(dict(type='EMAHook'))
        theirs = openmmlab_config(cfg)
        assert theirs.model.backbone.type == 'mmpretrain.ConvNeXt'
        assert theirs.optim_wrapper.type == 'AmpOptimWrapper'
        assert theirs.optim_wrapper.loss_scale == 'dynamic'
        assert 'dtype' not in theirs.optim_wrapper and 'fused' not in theirs.optim_wrapper.optimizer
        assert [hook['type'] for hook in theirs.custom_hooks] == ['EMAHook']
        assert 'convnext_dense' not in str(theirs.optim_wrapper)
        assert cfg.model.backbone.type == 'convnext_dense.ConvNeXt'

    @pytest.mark.parametrize(('path', 'package'), [(DETECTOR, mmdet), (SEGMENTER, mmseg)])
    def test_autotunes_cudnn_as_their_configs_do(self, configs, path, package):
        runtime = Config.fromfile(Path(package.__file__).parent / '.mim/configs/_base_/default_runtime.py')
        cfg = copy.deepcopy(configs[path])
        enable_speed(cfg, ['cudnn_benchmark'])
        assert openmmlab_config(cfg).env_cfg.cudnn_benchmark == runtime.env_cfg.cudnn_benchmark

    @pytest.mark.parametrize('imports', ['convnext_dense', ['convnext_dense']])
    def test_imports_mmpretrain_too(self, configs, imports):
        cfg = copy.deepcopy(configs[DETECTOR])
        cfg.custom_imports = dict(imports=imports)
        assert openmmlab_config(cfg).custom_imports.imports == ['convnext_dense', 'mmpretrain.models']

    def test_decays_learning_rates_by_their_constructor(self, configs):
        theirs = openmmlab_config(configs[CASCADE]).optim_wrapper
        assert theirs.constructor == 'mmdet.LearningRateDecayOptimizerConstructor'
        assert theirs.paramwise_cfg == dict(decay_rate=0.7, decay_type='layer_wise', num_layers=6)

    def test_uses_mmengines_constructor_for_other_settings(self, configs):
        theirs = openmmlab_config(configs[MASK2FORMER]).optim_wrapper
        assert 'constructor' not in theirs
        assert theirs.paramwise_cfg.custom_keys.backbone.lr_mult == 0.1

    def test_keeps_a_backbone_of_theirs(self, configs):
        cfg = copy.deepcopy(configs[DETECTOR])
        cfg.model.backbone = dict(type='mmdet.SwinTransformer')
        assert openmmlab_config(cfg).model.backbone.type == 'mmdet.SwinTransformer'

    def test_a_backbone_that_they_lack_is_refused(self, configs):
        cfg = copy.deepcopy(configs[DETECTOR])
        cfg.model.backbone = dict(type='convnext_dense.ModernizedResNet')
        with pytest.raises(UsageError, match=r'model\.backbone: OpenMMLab has no convnext_dense\.Mod'):
            openmmlab_config(cfg)

    def test_without_mmpretrain_it_says_what_to_install(self, configs, monkeypatch):
        monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
        with pytest.raises(UsageError, match='pip install mmpretrain'):
            openmmlab_config(configs[DETECTOR])


def test_mmcvs_operators_are_told_apart(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', SimpleNamespace(__file__=str(EXT_FILE)))
    assert mmcv_ops() == 'convnext_dense.compat'
    monkeypatch.setitem(sys.modules, 'mmcv._ext', SimpleNamespace(__file__='/site-packages/mmcv/_ext.so'))
    assert mmcv_ops() == f'compiled mmcv {mmcv.__version__}'
