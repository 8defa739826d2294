"""The switches for speed: what they do to a config, and that training with them is the training without."""

import math
import os
import uuid

import pytest
import torch
import torch.distributed
from mmengine.config import Config
from mmengine.hooks import EMAHook, Hook
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch._dynamo.utils import counters

from convnext_dense.config import enable_amp, enable_speed, enable_speed_in_testing, load_config
from convnext_dense.config.load import fit_to_device
from convnext_dense.config.speed import IN_TESTING, SWITCHES
from convnext_dense.errors import UsageError

CONFIGS = {
    'detector': 'configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py',
    'segmenter': 'configs/demo/upernet_convnext-demo_demo-ade20k.py',
}
EXACT = [name for name in SWITCHES if name != 'bf16']


class Losses(Hook):
    """Keeps every step's."""

    def __init__(self):
        self.total = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.total.append(float(outputs['loss']))


@pytest.fixture
def train(pytestconfig, demo_data, monkeypatch, tmp_path):
    """Train a demo config, cut down, with some switches, and return its runner with the losses of each step."""
    monkeypatch.chdir(demo_data)
    monkeypatch.setitem(os.environ, 'LOCAL_RANK', '0')
    benchmark = torch.backends.cudnn.benchmark
    torch._dynamo.reset()

    def run(task, switches, steps, resume=None, work_dir=None, backend='eager', **changes):
        cfg = load_config(str(pytestconfig.rootpath / CONFIGS[task]), str(work_dir or tmp_path / uuid.uuid4().hex))
        loader = dict(batch_size=2, num_workers=0, persistent_workers=False)
        loader['sampler'] = dict(type='InfiniteSampler', shuffle=True)
        cfg.merge_from_dict(dict(train_dataloader=loader, randomness=dict(seed=0), log_level='ERROR'))
        cfg.train_dataloader.batch_sampler = None
        if task == 'segmenter':
            # Smaller crops, and nothing that draws from torch's generator, which resuming does not wind on.
            cfg.model.data_preprocessor.size = (64, 64)
            cfg.train_dataloader.dataset.pipeline[2].crop_size = (64, 64)
            cfg.model.decode_head.dropout_ratio = cfg.model.auxiliary_head.dropout_ratio = 0.0
        cfg.model.backbone.arch.depths = [1, 1, 1, 1]
        for split in ('val', 'test'):
            for key in ('dataloader', 'cfg', 'evaluator'):
                cfg[f'{split}_{key}'] = None
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=steps, val_interval=10**6)
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=2)
        cfg.param_scheduler = None
        cfg.optim_wrapper.optimizer.lr = 1e-3
        cfg.merge_from_dict(changes)
        if 'compile' in switches:
            # Its graphs are inductor's, without the minutes that generating code for a CPU takes.
            compilation = dict(type='convnext_dense.CompileHook', backend=backend)
            cfg.custom_hooks = [*cfg.get('custom_hooks', []), compilation]
        enable_speed(cfg, switches)
        if resume:
            cfg.resume, cfg.load_from = True, str(resume)
        fit_to_device(cfg)
        cfg.experiment_name = uuid.uuid4().hex
        runner = Runner.from_cfg(cfg)
        runner.losses = Losses()
        runner.register_hook(runner.losses, 'LOWEST')
        runner.train()
        return runner

    yield run
    torch.backends.cudnn.benchmark = benchmark


@pytest.fixture
def one_process(tmp_path, monkeypatch):
    """A process group of this process alone."""
    for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        # mmengine would set them for all that follows.
        monkeypatch.setenv(name, os.environ.get(name, '2'))
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def mean(values):
    return sum(values) / len(values)


def assert_apart_by_bf16_alone(off, bf16, on):
    """Compare the losses of each step without switches, with bf16 alone, and with every switch."""
    by_bf16, by_all, by_the_others = (bf16 - off).abs() / off, (on - off).abs() / off, (on - bf16).abs() / bf16
    assert by_bf16[0] > 0
    # bf16 keeps eight bits. A step's rounding moves the weights, so that runs part more and more.
    assert by_all[:20].max() < 2**-8
    assert by_the_others[:20].max() < 2**-9
    assert by_all.max() <= 2 * by_bf16.max()
    assert by_all.mean() <= 2 * by_bf16.mean()
    assert by_the_others.mean() < by_bf16.mean()
    assert on[-10:].mean() < 0.8 * on[:10].mean()


def assert_switched_on(runner):
    model = runner.model
    convolutions = [each for each in model.modules() if isinstance(each, torch.nn.Conv2d)]
    assert all(each.weight.is_contiguous(memory_format=torch.channels_last) for each in convolutions)
    for param, state in runner.optim_wrapper.optimizer.state.items():
        assert state['exp_avg'].stride() == param.stride()
    assert all(group['fused'] for group in runner.optim_wrapper.optimizer.param_groups)
    assert len(runner.optim_wrapper.optimizer.param_groups) > 4
    assert counters['stats']['unique_graphs'] >= 3


class TestTheTraining:
    def test_of_fifty_steps_with_every_switch_departs_from_float32_as_bf16_alone_does(self, train):
        # On a CPU, channels_last, bf16, compile (its graphs, without generated code) and fused_adamw act. autotune and
        # prefetch need a GPU, and ddp a launcher.
        quiet = {'default_hooks.checkpoint.interval': 1000}
        off = torch.tensor(train('segmenter', [], 50, **quiet).losses.total)
        bf16 = torch.tensor(train('segmenter', ['bf16'], 50, **quiet).losses.total)
        runner = train('segmenter', list(SWITCHES), 50, **quiet)
        assert_switched_on(runner)
        assert_apart_by_bf16_alone(off, bf16, torch.tensor(runner.losses.total))

    def test_of_a_detector_with_every_switch_has_the_losses_of_one_with_none(self, train):
        quiet = {'default_hooks.checkpoint.interval': 1000}
        off = train('detector', [], 50, **quiet).losses.total
        on = train('detector', list(SWITCHES), 50, backend='aot_eager', **quiet)
        assert_switched_on(on)
        assert type(on.optim_wrapper).__name__ == 'BFloat16OptimWrapper'
        on = on.losses.total
        assert on != off
        # A detector samples other boxes where two scores were nearly equal.
        assert on[0] == pytest.approx(off[0], rel=0.05)
        assert mean(on[:10]) == pytest.approx(mean(off[:10]), rel=0.15)
        assert mean(on[-10:]) == pytest.approx(mean(off[-10:]), rel=0.2)
        assert mean(on[-10:]) < 0.8 * mean(on[:10])

    def test_with_every_switch_but_bf16_is_that_of_float32(self, train):
        off = train('detector', [], 3)
        on = train('detector', EXACT, 3)
        assert_switched_on(on)
        assert on.losses.total == pytest.approx(off.losses.total, rel=1e-4)
        assert len(set(off.losses.total)) == 3

    def test_goes_on_from_a_checkpoint_without_switches_and_back(self, train, tmp_path):
        through = train('segmenter', [], 6, work_dir=tmp_path / 'off')
        expected = through.losses.total
        on = train('segmenter', EXACT, 4, resume=tmp_path / 'off' / 'iter_2.pth', work_dir=tmp_path / 'on')
        assert_switched_on(on)
        assert on.losses.total == pytest.approx(expected[2:4], rel=1e-4)
        saved = torch.load(tmp_path / 'on' / 'iter_4.pth', weights_only=False)
        assert saved['state_dict'].keys() == through.model.state_dict().keys()
        assert not any('_orig_mod' in name for name in saved['state_dict'])
        for tensor in saved['state_dict'].values():
            assert tensor.is_contiguous()
        for state in saved['optimizer']['state'].values():
            assert state['exp_avg'].is_contiguous()
        settings = [*saved['optimizer']['param_groups'], saved['optimizer']['base_param_settings']]
        assert not any(group['fused'] for group in settings)
        back = train('segmenter', [], 6, resume=tmp_path / 'on' / 'iter_4.pth')
        assert not any(group['fused'] for group in back.optim_wrapper.optimizer.param_groups)
        assert back.losses.total == pytest.approx(expected[4:], rel=1e-4)

    def test_keeps_a_moving_average_of_the_weights(self, train, tmp_path):
        average = [dict(type='EMAHook', momentum=0.5, update_buffers=True)]
        off = train('segmenter', [], 2, work_dir=tmp_path / 'off', custom_hooks=average)
        switches = ['channels_last', 'fused_adamw']
        on = train('segmenter', switches, 2, work_dir=tmp_path / 'on', custom_hooks=average)
        (hook,) = (hook for hook in on.hooks if isinstance(hook, EMAHook))
        assert hook.ema_model.module.backbone is not on.model.backbone
        checkpoints = [torch.load(tmp_path / name / 'iter_2.pth', weights_only=False) for name in ('off', 'on')]
        for key in ('state_dict', 'ema_state_dict'):
            without, with_switches = (each[key] for each in checkpoints)
            assert without.keys() == with_switches.keys()
            for name, value in without.items():
                torch.testing.assert_close(with_switches[name], value, rtol=1e-3, atol=1e-4)
                assert with_switches[name].is_contiguous()
        assert off.losses.total == pytest.approx(on.losses.total, rel=1e-4)

    @pytest.mark.parametrize('switches', [EXACT, ['channels_last', 'fused_adamw', 'ddp']])
    # What DDP warns of, once a process, when it has to copy gradients into its buckets.
    @pytest.mark.filterwarnings('error:Grad strides do not match')
    def test_in_processes_of_its_own_is_that_without(self, train, one_process, monkeypatch, switches):
        off = train('segmenter', [], 4).losses.total
        strides = []
        step = torch.optim.AdamW.step

        def record(optimizer, *args):
            for group in optimizer.param_groups:
                strides.extend((param.grad.stride(), param.stride()) for param in group['params'])
            return step(optimizer, *args)

        monkeypatch.setattr(torch.optim.AdamW, 'step', record)
        counters.clear()
        on = train('segmenter', switches, 4, launcher='pytorch')
        assert type(on.model).__name__ == 'CPUDistributedDataParallel'
        assert on.model.gradient_as_bucket_view
        assert len(strides) == 4 * len(list(on.model.parameters()))
        # The fused kernel walks through memory.
        assert all(gradient == weight for gradient, weight in strides)
        assert torch._dynamo.config.optimize_ddp
        if 'compile' in switches:
            # Backbone and two heads, none of them split at DDP's buckets.
            assert counters['stats']['unique_graphs'] == 3
        assert on.losses.total == pytest.approx(off, rel=1e-4)


class TestTheConfig:
    @pytest.fixture(params=CONFIGS)
    def cfg(self, request, pytestconfig):
        return load_config(str(pytestconfig.rootpath / CONFIGS[request.param]))

    @pytest.fixture
    def with_gpu(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)

    def test_says_the_same_after_a_second_time(self, cfg):
        enable_speed(cfg, list(SWITCHES))
        once = cfg.to_dict()
        enable_speed(cfg, list(SWITCHES))
        assert cfg.to_dict() == once
        assert cfg.custom_imports.imports.count('convnext_dense') == 1

    def test_of_openmmlab_gains_the_import(self):
        cfg = Config(dict(custom_imports=dict(imports='mmpretrain.models')))
        enable_speed(cfg, ['channels_last'])
        assert cfg.custom_imports.imports == ['mmpretrain.models', 'convnext_dense']

    def test_no_switch_changes_nothing_else(self, cfg):
        before = cfg.to_dict()
        enable_speed(cfg, [])
        assert cfg.to_dict() == before

    def test_bf16_takes_the_place_of_fp16(self, cfg):
        enable_amp(cfg)
        enable_speed(cfg, ['bf16'])
        assert cfg.optim_wrapper.type == 'convnext_dense.BFloat16OptimWrapper'
        assert 'loss_scale' not in cfg.optim_wrapper

    def test_bf16_stays_without_a_gpu(self, cfg, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        enable_speed(cfg, ['bf16'])
        fit_to_device(cfg)
        assert cfg.optim_wrapper.type == 'convnext_dense.BFloat16OptimWrapper'

    def test_pinned_memory_is_for_gpus(self, cfg, monkeypatch):
        enable_speed(cfg, ['prefetch'])
        assert cfg.train_dataloader.pin_memory
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        fit_to_device(cfg)
        assert 'pin_memory' not in cfg.train_dataloader

    @pytest.mark.parametrize(
        ('changes', 'unused'),
        [
            ({}, False),
            (dict(find_unused_parameters=True), True),
            (dict(model_wrapper_cfg=dict(find_unused_parameters=True)), True),
        ],
    )
    def test_ddp_keeps_what_the_config_says_of_the_graph(self, cfg, changes, unused, monkeypatch):
        cfg.merge_from_dict(changes)
        enable_speed(cfg, ['ddp'])
        assert cfg.model_wrapper_cfg.find_unused_parameters == unused
        assert 'static_graph' not in cfg.model_wrapper_cfg
        cfg.launcher = 'pytorch'
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        fit_to_device(cfg)
        assert cfg.model_wrapper_cfg.type == 'convnext_dense.CPUDistributedDataParallel'
        assert cfg.model_wrapper_cfg.gradient_as_bucket_view

    def test_ddp_leaves_a_static_graph_to_the_config(self, cfg):
        cfg.model_wrapper_cfg = dict(static_graph=True)
        enable_speed(cfg, ['ddp'])
        assert cfg.model_wrapper_cfg.static_graph

    def test_types_may_be_classes(self, cfg):
        cfg.optim_wrapper.type = OptimWrapper
        cfg.optim_wrapper.optimizer.type = torch.optim.AdamW
        cfg.model_wrapper_cfg = dict(type=MMDistributedDataParallel)
        enable_speed(cfg, list(SWITCHES))
        assert cfg.optim_wrapper.optimizer.fused
        assert cfg.optim_wrapper.type == 'convnext_dense.BFloat16OptimWrapper'

    def test_on_gpus_the_wrapper_is_mmengines(self, cfg, with_gpu):
        enable_speed(cfg, ['ddp'])
        cfg.launcher = 'pytorch'
        fit_to_device(cfg)
        assert 'type' not in cfg.model_wrapper_cfg

    @pytest.mark.parametrize(
        ('switch', 'changes', 'message'),
        [
            ('turbo', {}, "no switch 'turbo'; choose from channels_last, bf16, compile"),
            ('fused_adamw', {'optim_wrapper.optimizer.type': 'Adamax'}, 'such as AdamW; got Adamax'),
            ('fused_adamw', {'optim_wrapper.optimizer.type': torch.optim.Adamax}, 'such as AdamW; got Adamax'),
            ('fused_adamw', {'optim_wrapper.optimizer': None}, 'such as AdamW; got None'),
            ('fused_adamw', dict(optim_wrapper=None), 'has no optim_wrapper'),
            ('bf16', {'optim_wrapper.type': 'ApexOptimWrapper'}, 'got ApexOptimWrapper'),
            ('ddp', dict(model_wrapper_cfg=dict(type='MMFullyShardedDataParallel')), 'got MMFullyShardedDataParallel'),
            ('prefetch', dict(train_dataloader=None), 'no train_dataloader'),
        ],
    )
    def test_what_a_switch_cannot_act_on_is_said(self, cfg, switch, changes, message):
        cfg.merge_from_dict(changes)
        with pytest.raises(UsageError, match=message):
            enable_speed(cfg, [switch])

    def test_testing_has_its_own(self, cfg):
        enable_speed_in_testing(cfg, IN_TESTING)
        assert [hook.type for hook in cfg.custom_hooks] == [
            'convnext_dense.ChannelsLastHook',
            'convnext_dense.CompileHook',
        ]
        with pytest.raises(UsageError, match='bf16: it acts in training alone; testing has channels_last, compile'):
            enable_speed_in_testing(cfg, ['bf16'])


def test_the_fused_optimizer_takes_gradients_that_were_scaled_and_clipped():
    weight = torch.nn.Parameter(torch.ones(3, 2, 2, 2).to(memory_format=torch.channels_last))
    plain = torch.nn.Parameter(torch.ones(3, 2, 2, 2))
    for param, fused in ((weight, True), (plain, False)):
        optimizer = torch.optim.AdamW([param], lr=0.1, fused=fused)
        scaler = torch.amp.GradScaler('cpu', init_scale=1024.0)
        for _ in range(3):
            scaler.scale((param * torch.arange(24.0).view(3, 2, 2, 2)).square().sum()).backward()
            scaler.unscale_(optimizer)
            assert float(torch.nn.utils.clip_grad_norm_([param], 1.0)) < math.inf
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    torch.testing.assert_close(weight, plain)
