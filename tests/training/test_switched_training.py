"""Training with the switches for speed, against training without them."""

import os
import uuid
from pathlib import Path
from statistics import fmean

import pytest
import torch
import torch.distributed
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch._dynamo.utils import counters

from convnext_dense.apis.environment import package_versions
from convnext_dense.config import enable_speed, load_config
from convnext_dense.config.device import fit_to_device
from convnext_dense.config.speed.switches import SWITCHES

CONFIGS = {
    'detector': 'configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py',
    'segmenter': 'configs/demo/upernet_convnext-demo_demo-ade20k.py',
}
# On a CPU, channels_last, bf16, compile and fused_adamw act. cudnn_benchmark and prefetch need a GPU, ddp a launcher.
ALL = list(SWITCHES)
EXACT = [name for name in SWITCHES if name != 'bf16']
NO_CHECKPOINTS = {'default_hooks.checkpoint.interval': 1000}


class RecordLosses(Hook):
    def __init__(self):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(float(outputs['loss']))


@pytest.fixture(scope='module')
def train(pytestconfig, demo_data, tmp_path_factory):
    """Train a demo config, cut down, with some switches, and return its runner with the losses of its steps."""

    def run(task, switches, steps, resume=None, backend='eager', **changes):
        cfg = load_config(str(pytestconfig.rootpath / CONFIGS[task]), str(tmp_path_factory.mktemp(task)))
        loader = dict(batch_size=2, num_workers=0, persistent_workers=False)
        loader['sampler'] = dict(type='InfiniteSampler', shuffle=True)
        cfg.merge_from_dict(dict(train_dataloader=loader, randomness=dict(seed=0), log_level='ERROR'))
        cfg.train_dataloader.batch_sampler = None
        if task == 'segmenter':
            # Smaller crops, and no dropout, which draws from a generator that resuming does not restore.
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
        cfg.optim_wrapper.optimizer.update(lr=3e-3 if task == 'segmenter' and steps <= 10 else 1e-3, betas=(0.9, 0.999))
        cfg.merge_from_dict(changes)
        if 'compile' in switches:
            # The graphs are inductor's, but no C++ is generated, which takes minutes.
            compilation = dict(type='convnext_dense.CompileHook', backend=backend)
            cfg.custom_hooks = [*cfg.get('custom_hooks', []), compilation]
        enable_speed(cfg, switches)
        if resume:
            cfg.resume, cfg.load_from = True, str(resume)
        fit_to_device(cfg)
        cfg.experiment_name = uuid.uuid4().hex
        torch._dynamo.reset()
        counters.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(demo_data)
            patch.setenv('LOCAL_RANK', '0')
            # mmengine formats the config and describes the machine in every run, which takes longer than a step.
            patch.setattr('mmengine.config.config.FormatCode', lambda code, **style: (code, True))
            patch.setattr('mmengine.runner.runner.collect_env', dict)
            patch.setattr(torch.backends.cudnn, 'benchmark', torch.backends.cudnn.benchmark)
            runner = Runner.from_cfg(cfg)
            record = RecordLosses()
            runner.register_hook(record, 'LOWEST')
            runner.train()
        runner.losses = record.losses
        return runner

    return run


@pytest.fixture(scope='module')
def segmenter(train):
    """Return a segmenter trained for ten steps without switches."""
    return train('segmenter', [], 10)


@pytest.fixture(scope='module')
def detector(train):
    """Return a detector trained for ten steps without switches."""
    return train('detector', [], 10)


@pytest.fixture
def process_group(tmp_path, monkeypatch):
    """Start a process group of this process alone."""
    for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        # mmengine would set them for the rest of this process.
        monkeypatch.setenv(name, os.environ.get(name, '2'))
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def assert_switched_on(runner):
    convolutions = [module for module in runner.model.modules() if isinstance(module, torch.nn.Conv2d)]
    assert all(module.weight.is_contiguous(memory_format=torch.channels_last) for module in convolutions)
    for param, state in runner.optim_wrapper.optimizer.state.items():
        assert state['exp_avg'].stride() == param.stride()
    assert all(group['fused'] for group in runner.optim_wrapper.optimizer.param_groups)
    assert len(runner.optim_wrapper.optimizer.param_groups) > 4
    assert counters['stats']['unique_graphs'] >= 3


def assert_apart_by_bf16_alone(off, bf16, on):
    """Compare the losses without switches, with bf16 alone, and with every switch."""
    off, bf16, on = map(torch.tensor, (off, bf16, on))
    by_bf16, by_all, by_others = (bf16 - off).abs() / off, (on - off).abs() / off, (on - bf16).abs() / bf16
    assert by_bf16[0] > 0
    # bf16 keeps eight bits. A step's rounding changes the weights, so runs diverge more and more.
    assert by_all[:20].max() < 2**-8
    assert by_others[:20].max() < 2**-9
    assert by_all.max() <= 2 * by_bf16.max()
    assert by_all.mean() <= 2 * by_bf16.mean()
    # Two runs that round independently of each other are further apart than each is from float32.
    assert by_others.mean() <= 2 * by_bf16.mean()
    fifth = len(on) // 5
    assert on[-fifth:].mean() < 0.8 * on[:fifth].mean()


def assert_about_equal(off, on):
    """Compare a detector's losses, which samples other boxes if two scores were nearly equal."""
    assert on != off
    assert on[0] == pytest.approx(off[0], rel=0.05)
    assert fmean(on[:10]) == pytest.approx(fmean(off[:10]), rel=0.15)
    assert fmean(on[-10:]) == pytest.approx(fmean(off[-10:]), rel=0.2)
    fifth = len(on) // 5
    assert fmean(on[-fifth:]) < 0.8 * fmean(on[:fifth])


class TestLosses:
    def test_a_segmenter_departs_from_float32_by_bf16_alone(self, train, segmenter):
        bf16 = train('segmenter', ['bf16'], 10, **NO_CHECKPOINTS)
        on = train('segmenter', ALL, 10, **NO_CHECKPOINTS)
        assert_switched_on(on)
        assert_apart_by_bf16_alone(segmenter.losses, bf16.losses, on.losses)

    @pytest.mark.full
    def test_a_segmenter_departs_so_for_fifty_steps(self, train):
        runs = [train('segmenter', switches, 50, **NO_CHECKPOINTS) for switches in ([], ['bf16'], ALL)]
        assert_apart_by_bf16_alone(*(run.losses for run in runs))

    def test_a_detector_has_about_those_of_float32(self, train, detector):
        on = train('detector', ALL, 10, **NO_CHECKPOINTS)
        assert_switched_on(on)
        assert type(on.optim_wrapper).__name__ == 'BFloat16OptimWrapper'
        assert_about_equal(detector.losses, on.losses)

    @pytest.mark.full
    def test_a_detector_in_inductors_graphs_has_about_those(self, train):
        off, on = (train('detector', switches, 20, backend='aot_eager', **NO_CHECKPOINTS) for switches in ([], ALL))
        assert_switched_on(on)
        assert_about_equal(off.losses, on.losses)

    def test_a_detector_without_bf16_has_those_of_float32(self, train, detector):
        on = train('detector', EXACT, 3)
        assert_switched_on(on)
        assert on.losses == pytest.approx(detector.losses[:3], rel=1e-4)
        assert len(set(on.losses)) == 3

    def test_a_detector_of_faster_data_has_exactly_the_same(self, train, detector):
        on = train('detector', ['data'], 3, **NO_CHECKPOINTS)
        assert type(on.model.data_preprocessor).__module__ == 'convnext_dense.datasets.det_preprocessor'
        assert on.losses == detector.losses[:3]

    def test_a_segmenter_of_faster_data_has_exactly_the_same(self, train, segmenter):
        on = train('segmenter', ['data'], 3, **NO_CHECKPOINTS)
        assert type(on.model.data_preprocessor).__module__ == 'convnext_dense.datasets.seg_preprocessor'
        assert on.losses == segmenter.losses[:3]

    @pytest.mark.parametrize(
        'switches',
        [
            pytest.param(EXACT, id='exact'),
            pytest.param(['channels_last', 'fused_adamw', 'ddp'], id='not compiled', marks=pytest.mark.full),
        ],
    )
    # DDP warns of this, once a process, when it has to copy gradients into its buckets.
    @pytest.mark.filterwarnings('error:Grad strides do not match')
    def test_a_distributed_segmenter_has_those_of_one_process(
        self, train, segmenter, process_group, monkeypatch, switches
    ):
        strides = []
        step = torch.optim.AdamW.step

        def record(optimizer, *args):
            for group in optimizer.param_groups:
                strides.extend((param.grad.stride(), param.stride()) for param in group['params'])
            return step(optimizer, *args)

        monkeypatch.setattr(torch.optim.AdamW, 'step', record)
        on = train('segmenter', switches, 4, launcher='pytorch')
        assert type(on.model).__name__ == 'CPUDistributedDataParallel'
        assert on.model.gradient_as_bucket_view
        assert len(strides) == 4 * len(list(on.model.parameters()))
        # The fused kernel reads memory in order.
        assert all(gradient == weight for gradient, weight in strides)
        assert torch._dynamo.config.optimize_ddp
        if 'compile' in switches:
            # Backbone and two heads, none of them split at DDP's buckets.
            assert counters['stats']['unique_graphs'] == 3
        assert on.losses == pytest.approx(segmenter.losses[:4], rel=1e-4)


class TestCheckpoints:
    def test_runs_with_and_without_switches_resume_each_other(self, train, segmenter):
        start = Path(segmenter.work_dir, 'iter_2.pth')
        off = train('segmenter', [], 6, resume=start)
        # OneDL's mmengine skips batches without drawing their random numbers.
        if not package_versions('onedl-mmengine'):
            assert off.losses == pytest.approx(segmenter.losses[2:6], rel=1e-4)
        on = train('segmenter', EXACT, 4, resume=start)
        assert_switched_on(on)
        assert on.losses == pytest.approx(off.losses[:2], rel=1e-4)
        saved = torch.load(Path(on.work_dir, 'iter_4.pth'), weights_only=False)
        assert saved['state_dict'].keys() == segmenter.model.state_dict().keys()
        assert not any('_orig_mod' in name for name in saved['state_dict'])
        for tensor in saved['state_dict'].values():
            assert tensor.is_contiguous()
        for state in saved['optimizer']['state'].values():
            assert state['exp_avg'].is_contiguous()
        settings = [*saved['optimizer']['param_groups'], saved['optimizer']['base_param_settings']]
        assert not any(group['fused'] for group in settings)
        back = train('segmenter', [], 6, resume=Path(on.work_dir, 'iter_4.pth'))
        assert not any(group['fused'] for group in back.optim_wrapper.optimizer.param_groups)
        off = train('segmenter', [], 6, resume=Path(off.work_dir, 'iter_4.pth'))
        assert back.losses == pytest.approx(off.losses, rel=1e-4)

    def test_a_moving_average_of_the_weights_is_saved(self, train):
        average = [dict(type='EMAHook', momentum=0.5, update_buffers=True)]
        off, on = (
            train('segmenter', switches, 2, custom_hooks=average) for switches in ([], ['channels_last', 'fused_adamw'])
        )
        (hook,) = (hook for hook in on.hooks if isinstance(hook, EMAHook))
        assert hook.ema_model.module.backbone is not on.model.backbone
        checkpoints = [torch.load(Path(run.work_dir, 'iter_2.pth'), weights_only=False) for run in (off, on)]
        for key in ('state_dict', 'ema_state_dict'):
            without, with_switches = (checkpoint[key] for checkpoint in checkpoints)
            assert without.keys() == with_switches.keys()
            for name, value in without.items():
                torch.testing.assert_close(with_switches[name], value, rtol=1e-3, atol=1e-4)
                assert with_switches[name].is_contiguous()
        assert off.losses == pytest.approx(on.losses, rel=1e-4)
