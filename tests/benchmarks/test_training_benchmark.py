"""Training steps against OpenMMLab's: the same model, the same batches, and figures that show what differs."""

import copy
import importlib.util
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import mmcv
import mmdet
import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner.checkpoint import CheckpointLoader

import benchmarks.training.compare as training
from benchmarks.training.compare import benchmark_training, prepare_config, training_table
from benchmarks.training.openmmlab import copy_weights, mmcv_ops, openmmlab_config
from benchmarks.training.stepped_run import Trainer
from benchmarks.training.synthetic_data import take_batches, use_made_up_data
from convnext_dense.compat.mmcv_ext import EXT_FILE
from convnext_dense.config import load_config
from convnext_dense.config.speed import SWITCHES, enable_speed
from convnext_dense.errors import UsageError
from convnext_dense.hooks.prefetch_hook import PrefetchHook
from convnext_dense.meta_device import build_on_meta
from convnext_dense.registry import HOOKS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
DETECTOR = CONFIGS / 'demo/mask-rcnn_convnext-demo_fpn_demo-coco.py'
SEGMENTER = CONFIGS / 'demo/upernet_convnext-demo_demo-ade20k.py'
CASCADE = CONFIGS / 'cascade_mask_rcnn/cascade-mask-rcnn_convnext-t_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py'
MASK2FORMER = CONFIGS / 'mask2former/mask2former_convnext-t_8xb2-lsj-50e_coco.py'
ROADMAP = CONFIGS / 'roadmap/mask-rcnn_roadmap-04-width-96_fpn_amp-1x_coco.py'
# Compilation is another test's, and DDP wants more than one process.
FAST_SWITCHES = ['channels_last', 'bf16', 'cudnn_benchmark', 'fused_adamw', 'prefetch']
SLEEP = 0.5
GIBIBYTE = 2**30


@HOOKS.register_module()
class HandicapHook(Hook):
    """Sleeps after the steps of `stalls`, and needs `memory` bytes for a moment of each."""

    def __init__(self, stalls=(), memory=0):
        self.stalls = stalls
        self.memory = memory

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        torch.empty(self.memory, dtype=torch.uint8)
        if runner.iter in self.stalls:
            time.sleep(SLEEP)


@HOOKS.register_module()
class PrefetchOnCPUHook(PrefetchHook):
    """Copies each next batch as on a GPU, but for the stream."""

    def before_train(self, runner):
        self._install(runner.train_loop, copy.deepcopy, lambda: None)


def small_trainer(folder, hooks, config=DETECTOR):
    cfg = prepare_config(load_config(str(config)), batch_size=1, scale=0.3)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.custom_hooks = [dict(type=hook) for hook in hooks]
    use_made_up_data(cfg, folder / 'data', count=2)
    trainer = Trainer(cfg, str(folder / 'work_dir'), folder.name)
    trainer.start(take_batches(trainer.loader, 2))
    return trainer


def benchmarked(config, rounds=3, scale=0.3, hook=None, **options):
    cfg = load_config(str(config))
    if hook:
        cfg.custom_hooks = [dict(type='convnext_dense.HandicapHook', **hook)]
    return benchmark_training(cfg, batch_size=2, scale=scale, rounds=rounds, **options)


@pytest.fixture(scope='module')
def detectors():
    return benchmarked(DETECTOR)


@pytest.fixture(scope='module')
def switched():
    before = torch.backends.cudnn.benchmark
    result = benchmarked(SEGMENTER, switches=FAST_SWITCHES)
    return result, before, torch.backends.cudnn.benchmark


class TestTheFigures:
    def test_are_of_models_whose_first_losses_agree(self, detectors):
        losses = detectors['first_losses']
        assert losses['agree']
        assert losses['ours'] == pytest.approx(losses['OpenMMLab'], rel=1e-4)
        assert losses['ours'] > 0

    def test_follow_from_the_seconds(self, detectors):
        ours, theirs = detectors['contenders'].values()
        for each in (ours, theirs):
            assert len(each['seconds']) == 3
            assert each['images_per_second'] == pytest.approx(2 * 3 / sum(each['seconds']))
            assert each['p50'] == sorted(each['seconds'])[1]
            assert each['p99_over_p50'] == pytest.approx(np.percentile(each['seconds'], 99) / each['p50'])
        assert detectors['ratio']['images_per_second'] == pytest.approx(sum(theirs['seconds']) / sum(ours['seconds']))
        assert detectors['ratio']['peak_memory'] == ours['peak_memory'] / theirs['peak_memory']

    def test_are_printed(self, detectors):
        table = training_table(detectors)
        rows = {line.split()[0]: line.split()[1:] for line in table.splitlines()}
        ours = detectors['contenders']['ours']
        assert rows['OpenMMLab'][-1] == 'float32'
        assert f'{detectors["ratio"]["images_per_second"]:.3f} in images/s' in table
        assert f'{ours["p99"] * 1e3:.1f}' in table
        assert 'which agree' in table
        assert f'mmcv.ops of both: {detectors["mmcv_ops"]}' in table

    def test_hold_more_than_the_weights_and_the_optimizers_state(self, detectors):
        cfg = load_config(str(DETECTOR))
        weights = 4 * sum(p.numel() for p in build_on_meta(cfg.model, 'mmdet').parameters())
        for each in detectors['contenders'].values():
            # Weights, two averages of AdamW, and gradients beside activations.
            assert each['peak_memory'] > 4 * weights
            assert each['peak_memory'] < GIBIBYTE

    def test_hold_a_model_that_ema_keeps(self, detectors, tmp_path):
        trainers = [small_trainer(tmp_path / name, hooks) for name, hooks in dict(plain=[], ema=['EMAHook']).items()]
        plain, averaged = (each.held_bytes() for each in trainers)
        weights = 4 * sum(parameter.numel() for parameter in trainers[0].model.parameters())
        # And a counter of the steps, beside mmengine's buffers.
        assert weights <= averaged - plain < 1.01 * weights

    @pytest.mark.parametrize('config', [DETECTOR, SEGMENTER])
    def test_hold_a_batch_that_was_prefetched(self, config, tmp_path):
        trainer = small_trainer(tmp_path, ['convnext_dense.PrefetchOnCPUHook'], config)
        trainer.step()
        with_the_next = trainer.held_bytes()
        batch = trainer.next_batch()
        assert with_the_next - trainer.held_bytes() >= sum(each.nbytes for each in batch['inputs'])

    def test_show_a_stall_in_the_tail_and_in_the_images_per_second(self):
        # Of the timed steps the second: five go before.
        result = benchmarked(SEGMENTER, rounds=4, hook=dict(stalls=[training.WARM_UP + 1]))
        ours, theirs = result['contenders'].values()
        assert ours['p99'] > 0.9 * SLEEP > ours['p50']
        assert ours['p99_over_p50'] > theirs['p99_over_p50']
        assert result['ratio']['images_per_second'] < result['ratio']['step_in_turn']

    def test_show_memory_that_a_step_takes(self):
        result = benchmarked(SEGMENTER, rounds=1, hook=dict(memory=GIBIBYTE))
        assert result['contenders']['ours']['peak_memory'] > GIBIBYTE > result['contenders']['OpenMMLab']['peak_memory']
        assert result['ratio']['peak_memory'] > 2

    def test_of_other_weights_are_called_so(self, monkeypatch):
        monkeypatch.setattr(
            training, 'copy_weights', lambda source, target: torch.nn.init.ones_(target.decode_head.conv_seg.weight)
        )
        result = benchmarked(SEGMENTER, rounds=1)
        assert not result['first_losses']['agree']
        assert 'WHICH DIFFER' in training_table(result)


class TestTheContenders:
    def test_ours_is_the_config_as_it_is_and_theirs_is_openmmlabs(self, detectors):
        ours, theirs = (each['settings'] for each in detectors['contenders'].values())
        assert (ours['backbone'], theirs['backbone']) == ('convnext_dense.ConvNeXt', 'mmpretrain.ConvNeXt')
        for settings in (ours, theirs):
            assert settings['precision'] == 'float32'
            assert not settings['fused'] and not settings['channels_last']

    def test_switches_are_in_force_for_ours_alone(self, switched):
        ours, theirs = (each['settings'] for each in switched[0]['contenders'].values())
        assert ours['precision'] == 'bfloat16'
        assert ours['fused'] and ours['channels_last'] and ours['cudnn']['benchmark']
        assert {'ChannelsLastHook', 'CudnnAutotuneHook', 'FusedOptimizerHook', 'PrefetchHook'} < set(ours['hooks'])
        assert theirs['precision'] == 'float32'
        assert not theirs['fused'] and not theirs['channels_last']
        assert not [name for name in theirs['hooks'] if name in ours['hooks'] and name.startswith(('Ch', 'Cu', 'Fu'))]

    def test_leave_the_processes_settings_as_they_were(self, switched):
        _, before, after = switched
        assert before == after

    def test_agree_in_half_precision_too(self, switched):
        assert switched[0]['first_losses']['agree']

    @pytest.mark.parametrize('config', [DETECTOR, SEGMENTER])
    def test_train_alike(self, config, tmp_path):
        cfg = prepare_config(load_config(str(config)), batch_size=2, scale=0.3)
        cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
        use_made_up_data(cfg, tmp_path / 'data', count=8)
        pair = [Trainer(each, str(tmp_path / name), name) for name, each in (('a', cfg), ('b', openmmlab_config(cfg)))]
        copy_weights(pair[0].model, pair[1].model)
        batches = take_batches(pair[0].loader, 3)
        shapes = [batch['data_samples'][0].img_shape for batch in batches]
        for trainer in pair:
            trainer.start(batches)
            for _ in range(4):
                torch.manual_seed(0)
                trainer.step()
        ours, theirs = (trainer.losses() for trainer in pair)
        assert ours == pytest.approx(theirs, rel=1e-2)
        assert ours['loss'] == pytest.approx(theirs['loss'], rel=1e-3)
        # The first batch came twice; a step leaves it as it was.
        assert [batch['data_samples'][0].img_shape for batch in batches] == shapes
        assert all(batch['inputs'][0].dtype == torch.uint8 for batch in batches)

        def rates(trainer):
            groups = trainer.runner.optim_wrapper.optimizer.param_groups
            return sorted(
                (round(group['initial_lr'], 9), group['weight_decay'], len(group['params'])) for group in groups
            )

        assert rates(pair[0]) == rates(pair[1])


class TestOpenMMLabsConfig:
    @pytest.mark.parametrize('config', [DETECTOR, SEGMENTER, CASCADE, MASK2FORMER])
    def test_has_none_of_our_switches(self, config):
        cfg = load_config(str(config))
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

    @pytest.mark.parametrize(('config', 'package'), [(DETECTOR, mmdet), (SEGMENTER, mmseg)])
    def test_autotunes_cudnn_as_their_own_configs_do(self, config, package):
        runtime = Config.fromfile(Path(package.__file__).parent / '.mim/configs/_base_/default_runtime.py')
        cfg = load_config(str(config))
        enable_speed(cfg, ['cudnn_benchmark'])
        assert openmmlab_config(cfg).env_cfg.cudnn_benchmark == runtime.env_cfg.cudnn_benchmark

    @pytest.mark.parametrize('imports', ['convnext_dense', ['convnext_dense']])
    def test_imports_mmpretrain_beside_what_it_imported(self, imports):
        cfg = load_config(str(DETECTOR))
        cfg.custom_imports = dict(imports=imports)
        assert openmmlab_config(cfg).custom_imports.imports == ['convnext_dense', 'mmpretrain.models']

    def test_decays_learning_rates_by_their_own_constructor(self):
        theirs = openmmlab_config(load_config(str(CASCADE))).optim_wrapper
        assert theirs.constructor == 'mmdet.LearningRateDecayOptimizerConstructor'
        assert theirs.paramwise_cfg == dict(decay_rate=0.7, decay_type='layer_wise', num_layers=6)

    def test_has_mmengines_constructor_for_settings_that_theirs_does_not_read(self):
        theirs = openmmlab_config(load_config(str(MASK2FORMER))).optim_wrapper
        assert 'constructor' not in theirs
        assert theirs.paramwise_cfg.custom_keys.backbone.lr_mult == 0.1

    def test_keeps_a_backbone_of_theirs(self):
        cfg = load_config(str(DETECTOR), backbone='mmdet/SwinTransformer', pretrained=False)
        assert openmmlab_config(cfg).model.backbone.type == cfg.model.backbone.type

    def test_of_a_backbone_that_they_lack_is_an_error_that_names_it(self):
        with pytest.raises(UsageError, match=r'model\.backbone: OpenMMLab has no convnext_dense\.Mod'):
            openmmlab_config(load_config(str(ROADMAP)))

    def test_without_mmpretrain_is_an_error_that_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
        cfg = load_config(str(DETECTOR))
        with pytest.raises(UsageError, match='pip install mmpretrain'):
            openmmlab_config(cfg)


def test_operators_of_mmcv_are_told_from_stand_ins(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', SimpleNamespace(__file__=str(EXT_FILE)))
    assert mmcv_ops() == 'by convnext_dense.compat'
    monkeypatch.setitem(sys.modules, 'mmcv._ext', SimpleNamespace(__file__='/site-packages/mmcv/_ext.so'))
    assert mmcv_ops() == f'by compiled mmcv {mmcv.__version__}'


def test_no_weights_are_read_or_downloaded(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError('weights are read')

    monkeypatch.setattr(CheckpointLoader, 'load_checkpoint', refuse)
    cfg = prepare_config(load_config(str(SEGMENTER)), batch_size=1, scale=0.2)
    use_made_up_data(cfg, tmp_path / 'data', count=2)
    cfg.load_from = 'https://nowhere.invalid/model.pth'
    cfg.model.pretrained = 'open-mmlab://resnet18_v1c'
    cfg.model.backbone = dict(
        type='mmseg.ResNetV1c', depth=18, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18')
    )
    for head in (cfg.model.decode_head, cfg.model.auxiliary_head):
        head.in_channels = [64, 128, 256, 512] if isinstance(head.in_channels, list) else 256
    model = Trainer(cfg, str(tmp_path / 'work_dir'), 'offline').model
    assert model.backbone.layer4[0].conv1.weight.std() > 0


def test_the_default_number_of_steps_is_enough_for_a_tail_on_a_gpu(monkeypatch):
    timed = []
    monkeypatch.setattr(training, '_compare', lambda trainers, cfg, switches, rounds, with_data: timed.append(rounds))
    monkeypatch.setattr(training, 'Trainer', lambda cfg, work_dir, name: None)
    for device in ('cuda', 'cpu'):
        monkeypatch.setattr(training, 'default_device', lambda device=device: torch.device(device))
        benchmark_training(load_config(str(SEGMENTER)), batch_size=1)
    assert timed == [200, 50]


def test_the_configs_own_data_is_read_on_demand(demo_data, monkeypatch):
    monkeypatch.chdir(demo_data)
    cfg = load_config(str(SEGMENTER))
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    result = benchmark_training(cfg, batch_size=2, scale=0.25, rounds=2, with_data=True)
    assert result['with_data'] and result['shapes'] is None
    assert all(len(each['seconds']) == 2 for each in result['contenders'].values())


def test_data_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match='data_root'):
        benchmark_training(load_config(str(SEGMENTER)), with_data=True)


@pytest.mark.parametrize(('options', 'message'), [(dict(rounds=0), '--rounds'), (dict(batch_size=0), '--batch-size')])
def test_figures_of_nothing_are_an_error(options, message):
    with pytest.raises(UsageError, match=message):
        benchmark_training(load_config(str(SEGMENTER)), **options)


def test_shapes_are_counted_that_warming_up_did_not_have():
    batch = lambda height: dict(inputs=[torch.zeros(3, height, 32)])  # noqa: E731
    batches = [batch(30)] * training.WARM_UP + [batch(32), batch(60), batch(64), batch(90)]
    cfg = load_config(str(DETECTOR))
    # Padded to multiples of 32: 32 was seen, 64 and 96 were not.
    assert training._shapes(batches, cfg) == dict(warm_up=1, timed=3, first_seen_when_timed=2)


class _Passes:
    """Hands batches on, and counts them."""

    def __init__(self, batches):
        self.batches = batches
        self.handed = 0

    def __iter__(self):
        for batch in self.batches:
            self.handed += 1
            yield batch

    def __next__(self):
        self.handed += 1
        return next(self.batches)

    def __getattr__(self, name):
        return getattr(self.batches, name)


@HOOKS.register_module()
class PassingHook(Hook):
    """Stands between the loop and its batches, as prefetching does on a GPU."""

    def before_train(self, runner):
        loop = runner.train_loop
        name = 'dataloader_iterator' if hasattr(loop, 'dataloader_iterator') else 'dataloader'
        self.passes = _Passes(getattr(loop, name))
        setattr(loop, name, self.passes)


@pytest.mark.parametrize('config', [DETECTOR, SEGMENTER])
def test_batches_in_memory_pass_the_hooks_that_stand_before_the_loop(config, tmp_path):
    trainer = small_trainer(tmp_path, ['convnext_dense.PassingHook'], config)
    for _ in range(3):
        trainer.next_batch()
    hook = next(each for each in trainer.runner.hooks if isinstance(each, PassingHook))
    assert hook.passes.handed == 3
