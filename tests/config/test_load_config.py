"""What the flags do to a config, without running it."""

import copy

import pytest
import torch
from mmengine.config import Config

from convnext_dense.config import enable_amp, enable_auto_scale_lr, load_config
from convnext_dense.config.device import fit_to_device
from convnext_dense.config.testing import enable_tta
from convnext_dense.errors import UsageError

DETECTOR = 'configs/mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py'
SEGMENTER = 'configs/upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py'


@pytest.fixture(params=[DETECTOR, SEGMENTER])
def cfg(request, pytestconfig):
    return load_config(str(pytestconfig.rootpath / request.param))


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)


@pytest.fixture
def with_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)


def test_the_work_dir_is_named_after_the_config(cfg):
    assert cfg.work_dir.startswith('work_dirs/')
    assert 'convnext-t' in cfg.work_dir


def test_options_and_the_work_dir_can_be_given(pytestconfig, monkeypatch):
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.setenv(name, '0')
    options = {'optim_wrapper.optimizer.lr': 1.0}
    cfg = load_config(str(pytestconfig.rootpath / DETECTOR), 'elsewhere', options, 'pytorch')
    assert (cfg.work_dir, cfg.optim_wrapper.optimizer.lr, cfg.launcher) == ('elsewhere', 1.0, 'pytorch')


def test_with_a_gpu_nothing_changes(cfg, with_gpu):
    before = cfg.copy()
    fit_to_device(cfg)
    assert cfg.to_dict() == before.to_dict()


def test_without_a_gpu_there_is_no_amp_and_no_nccl(cfg, without_gpu):
    fit_to_device(cfg)
    assert cfg.optim_wrapper.type == 'OptimWrapper'
    assert 'loss_scale' not in cfg.optim_wrapper
    assert cfg.env_cfg.dist_cfg.backend == 'gloo'


def test_distributed_without_a_gpu_takes_the_wrapper_for_cpus(cfg, without_gpu):
    cfg.launcher = 'pytorch'
    cfg.find_unused_parameters = True
    fit_to_device(cfg)
    assert cfg.model_wrapper_cfg.type == 'convnext_dense.CPUDistributedDataParallel'
    assert cfg.model_wrapper_cfg.find_unused_parameters


def test_amp_is_fp16_with_dynamic_scaling(cfg):
    cfg.optim_wrapper.type = 'OptimWrapper'
    enable_amp(cfg)
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')


def test_auto_scale_lr_needs_to_know_the_batch_size():
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size=16, enable=False)))
    enable_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable
    with pytest.raises(UsageError, match='base_batch_size'):
        enable_auto_scale_lr(Config(dict()))


def test_augmented_testing_wraps_the_model(cfg):
    inner = cfg.model.type
    enable_tta(cfg)
    assert cfg.model.module.type == inner
    assert cfg.test_dataloader.dataset.pipeline[-1].type == 'TestTimeAug'


def test_augmented_testing_refuses_labels_found_before_logits_are_resized(cfg):
    cfg.model.test_cfg = dict(argmax_first=True)
    with pytest.raises(UsageError, match=r'leave out model\.test_cfg\.argmax_first'):
        enable_tta(cfg)


def test_augmented_testing_wraps_each_of_several_datasets(cfg):
    parts = [copy.deepcopy(cfg.test_dataloader.dataset) for _ in range(2)]
    cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=parts)
    enable_tta(cfg)
    assert [part.pipeline[-1].type for part in cfg.test_dataloader.dataset.datasets] == ['TestTimeAug'] * 2


class TestNamesOfConfigs:
    def test_in_a_package_are_those_of_base(self):
        cfg = load_config('mmseg::pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py')
        assert cfg.model.decode_head.type == 'PSPHead'
        assert cfg.work_dir == 'work_dirs/pspnet_r50-d8_4xb4-80k_ade20k-512x512'

    @pytest.mark.parametrize(
        ('name', 'message'),
        [('mmdet::nowhere.py', r'mmdet has no config nowhere\.py'), ('nothing::a.py', 'there is no package nothing')],
    )
    def test_that_are_wrong(self, name, message):
        with pytest.raises(UsageError, match=message):
            load_config(name)
