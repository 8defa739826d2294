"""What the switches for speed do to a config."""

import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper

from convnext_dense.config import enable_amp, enable_speed, enable_speed_in_testing, load_config
from convnext_dense.config.device import fit_to_device
from convnext_dense.config.speed.switches import SWITCHES, TEST_SWITCHES
from convnext_dense.errors import UsageError

ALL = list(SWITCHES)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)


@pytest.fixture(
    params=[
        'configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py',
        'configs/demo/upernet_convnext-demo_demo-ade20k.py',
    ],
    ids=['detector', 'segmenter'],
)
def cfg(request, pytestconfig):
    return load_config(str(pytestconfig.rootpath / request.param))


class TestEnableSpeed:
    def test_a_second_time_changes_nothing(self, cfg):
        enable_speed(cfg, ALL)
        once = cfg.to_dict()
        enable_speed(cfg, ALL)
        assert cfg.to_dict() == once
        assert cfg.custom_imports.imports.count('convnext_dense') == 1

    def test_no_switch_changes_nothing(self, cfg):
        before = cfg.to_dict()
        enable_speed(cfg, [])
        assert cfg.to_dict() == before

    def test_the_config_imports_this_package(self):
        cfg = Config(dict(custom_imports=dict(imports='mmpretrain.models')))
        enable_speed(cfg, ['channels_last'])
        assert cfg.custom_imports.imports == ['mmpretrain.models', 'convnext_dense']

    def test_types_may_be_classes(self, cfg):
        cfg.optim_wrapper.type = OptimWrapper
        cfg.optim_wrapper.optimizer.type = torch.optim.AdamW
        cfg.model_wrapper_cfg = dict(type=MMDistributedDataParallel)
        enable_speed(cfg, ALL)
        assert cfg.optim_wrapper.optimizer.fused
        assert cfg.optim_wrapper.type == 'convnext_dense.BFloat16OptimWrapper'

    @pytest.mark.parametrize(
        ('switch', 'changes', 'message'),
        [
            ('turbo', {}, "speed: there is no switch 'turbo'; choose from channels_last, bf16, compile"),
            ('autotune', {}, r'speed: autotune is now called cudnn_benchmark\.'),
            ('fused_adamw', {'optim_wrapper.optimizer.type': 'Adamax'}, 'such as AdamW; got Adamax'),
            ('fused_adamw', {'optim_wrapper.optimizer.type': torch.optim.Adamax}, 'such as AdamW; got Adamax'),
            ('fused_adamw', {'optim_wrapper.optimizer': None}, 'such as AdamW; got None'),
            ('fused_adamw', dict(optim_wrapper=None), 'needs an optim_wrapper'),
            ('bf16', {'optim_wrapper.type': 'ApexOptimWrapper'}, 'got ApexOptimWrapper'),
            ('ddp', dict(model_wrapper_cfg=dict(type='MMFullyShardedDataParallel')), 'got MMFullyShardedDataParallel'),
            ('prefetch', dict(train_dataloader=None), 'needs a train_dataloader'),
        ],
    )
    def test_a_config_that_does_not_fit_is_an_error(self, cfg, switch, changes, message):
        cfg.merge_from_dict(changes)
        with pytest.raises(UsageError, match=message):
            enable_speed(cfg, [switch])


class TestEnableSpeedInTesting:
    def test_two_switches_act_in_testing(self, cfg):
        enable_speed_in_testing(cfg, TEST_SWITCHES)
        assert [hook.type for hook in cfg.custom_hooks] == [
            'convnext_dense.ChannelsLastHook',
            'convnext_dense.CompileHook',
        ]

    def test_the_others_are_an_error(self, cfg):
        message = 'speed: bf16 acts in training only; testing has channels_last, compile'
        with pytest.raises(UsageError, match=message):
            enable_speed_in_testing(cfg, ['bf16'])


class TestBF16:
    def test_it_replaces_fp16(self, cfg):
        enable_amp(cfg)
        enable_speed(cfg, ['bf16'])
        assert cfg.optim_wrapper.type == 'convnext_dense.BFloat16OptimWrapper'
        assert 'loss_scale' not in cfg.optim_wrapper

    def test_it_stays_without_a_gpu(self, cfg, no_gpu):
        enable_speed(cfg, ['bf16'])
        fit_to_device(cfg)
        assert cfg.optim_wrapper.type == 'convnext_dense.BFloat16OptimWrapper'


def test_prefetch_pins_memory_if_there_is_a_gpu(cfg, no_gpu):
    enable_speed(cfg, ['prefetch'])
    assert cfg.train_dataloader.pin_memory
    fit_to_device(cfg)
    assert 'pin_memory' not in cfg.train_dataloader


class TestDDP:
    @pytest.mark.parametrize(
        ('changes', 'unused'),
        [
            ({}, False),
            (dict(find_unused_parameters=True), True),
            (dict(model_wrapper_cfg=dict(find_unused_parameters=True)), True),
        ],
    )
    def test_unused_parameters_are_as_in_the_config(self, cfg, changes, unused, no_gpu):
        cfg.merge_from_dict(changes)
        enable_speed(cfg, ['ddp'])
        assert cfg.model_wrapper_cfg.find_unused_parameters == unused
        assert 'static_graph' not in cfg.model_wrapper_cfg
        cfg.launcher = 'pytorch'
        fit_to_device(cfg)
        assert cfg.model_wrapper_cfg.type == 'convnext_dense.CPUDistributedDataParallel'
        assert cfg.model_wrapper_cfg.gradient_as_bucket_view

    def test_a_static_graph_stays(self, cfg):
        cfg.model_wrapper_cfg = dict(static_graph=True)
        enable_speed(cfg, ['ddp'])
        assert cfg.model_wrapper_cfg.static_graph

    def test_on_gpus_the_wrapper_is_mmengines(self, cfg, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
        enable_speed(cfg, ['ddp'])
        cfg.launcher = 'pytorch'
        fit_to_device(cfg)
        assert 'type' not in cfg.model_wrapper_cfg


@pytest.mark.e2e
def test_the_names_of_switches_need_no_torch(pytestconfig):
    code = (
        'import sys; from convnext_dense.config.speed.switches import SWITCHES; '
        "print(len(SWITCHES), {'torch', 'mmengine'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=pytestconfig.rootpath, capture_output=True, text=True, check=True
    )
    assert done.stdout.split(maxsplit=1) == ['9', 'set()\n']
