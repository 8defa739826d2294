"""Training steps are timed against OpenMMLab's, and the figures show what differs."""

import copy
import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.demo_runs import DETECTOR, SEGMENTER
from mmengine.hooks import Hook

from benchmarks.training import compare
from benchmarks.training.compare import OURS, THEIRS, benchmark_training, prepare_config, table
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError
from convnext_dense.registry import HOOKS

# Compilation has a test of its own, and DDP needs more than one process.
FAST_SWITCHES = ['channels_last', 'bf16', 'cudnn_benchmark', 'fused_adamw', 'prefetch']
ROUNDS = 4
SLEEP = 1.0
GIBIBYTE = 2**30


@HOOKS.register_module()
class HandicapHook(Hook):
    """Sleeps after one step, and needs a gibibyte for a moment of each."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        torch.empty(GIBIBYTE, dtype=torch.uint8)
        # The second of the timed steps, after one for the warm-up.
        if runner.iter == 2:
            time.sleep(SLEEP)


@pytest.fixture(scope='module')
def segmenter():
    return load_config(str(SEGMENTER))


@pytest.fixture(scope='module')
def figures(segmenter):
    """Ours with switches and a handicap, which OpenMMLab's config does not have."""
    cfg = copy.deepcopy(segmenter)
    cfg.custom_hooks = [dict(type='convnext_dense.HandicapHook')]
    benchmark = torch.backends.cudnn.benchmark
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, 'NUM_IMAGES', 4)
        patch.setattr(compare, 'WARM_UP', 1)
        result = benchmark_training(cfg, FAST_SWITCHES, ROUNDS, batch_size=2, scale=0.3)
    # The flags of the process are as they were.
    assert torch.backends.cudnn.benchmark == benchmark
    return result


class TestFigures:
    def test_follow_from_the_seconds(self, figures):
        ours, theirs = (figures['contenders'][name] for name in (OURS, THEIRS))
        for contender in (ours, theirs):
            assert len(contender['seconds']) == ROUNDS
            assert contender['images_per_second'] == pytest.approx(2 * ROUNDS / sum(contender['seconds']))
            assert contender['p99'] == pytest.approx(np.percentile(contender['seconds'], 99))
        ratio = figures['ratio']
        assert ratio['images_per_second'] == pytest.approx(sum(theirs['seconds']) / sum(ours['seconds']))
        assert ratio['peak_memory'] == ours['peak_memory'] / theirs['peak_memory']

    def test_first_losses_agree_in_half_precision(self, figures):
        assert figures['first_losses']['agree']
        assert figures['first_losses'][OURS] > 0

    def test_switches_are_in_effect_for_ours_only(self, figures):
        ours, theirs = (figures['contenders'][name]['settings'] for name in (OURS, THEIRS))
        assert ours['precision'] == 'bfloat16'
        assert ours['fused'] and ours['channels_last'] and ours['cudnn']['benchmark']
        switched = {'ChannelsLastHook', 'CudnnAutotuneHook', 'FusedOptimizerHook', 'PrefetchHook'}
        assert switched < set(ours['hooks'])
        assert theirs['precision'] == 'float32'
        assert not theirs['fused'] and not theirs['channels_last']
        assert not switched & set(theirs['hooks'])

    def test_a_stall_shows_in_the_tail_and_in_images_per_second(self, figures):
        ours = figures['contenders'][OURS]
        assert ours['p99'] > ours['median'] + 0.5 * SLEEP
        assert figures['ratio']['images_per_second'] < figures['ratio']['step_in_turn']

    def test_memory_for_a_moment_shows_in_the_peak(self, figures):
        ours, theirs = (figures['contenders'][name]['peak_memory'] for name in (OURS, THEIRS))
        assert ours > GIBIBYTE > theirs

    def test_are_printed(self, figures):
        text = table(figures)
        _, _, ours, theirs, *_ = text.splitlines()
        assert (ours.split()[0], ours.split()[-1]) == (OURS, 'bfloat16')
        assert (theirs.split()[0], theirs.split()[-1]) == (THEIRS, 'float32')
        assert f'{figures["ratio"]["images_per_second"]:.3f} in images/s' in text
        assert f'{figures["contenders"][OURS]["p99"] * 1e3:.1f}' in text
        assert 'which agree' in text
        assert f'both run mmcv.ops by {figures["mmcv_ops"]}' in text


class TestTiming:
    def test_blocks_take_turns_after_untimed_steps(self, monkeypatch):
        monkeypatch.setattr(compare, 'BLOCK', 3)
        order = []
        loader = dict(num_workers=1, prefetch_factor=1)
        cfg = SimpleNamespace(train_dataloader=loader)
        runs = dict.fromkeys((OURS, THEIRS), SimpleNamespace(cfg=cfg, device=torch.device('cpu')))
        steps = {name: lambda name=name: order.append(name[0]) for name in runs}
        seconds = compare._time_in_blocks(steps, runs, 4)
        # One step to warm up and one that a worker has loaded; then three timed steps, and one.
        assert ''.join(order) == 'ooooo' + 'OOOOO' + 'ooo' + 'OOO'
        assert {name: len(times) for name, times in seconds.items()} == {OURS: 4, THEIRS: 4}

    def test_shapes_are_counted_that_the_warm_up_did_not_have(self):
        batches = [dict(inputs=[torch.zeros(3, height, 32)]) for height in (30, 32, 60, 64, 90)]
        cfg = SimpleNamespace(model=dict(data_preprocessor=dict(pad_size_divisor=32)))
        # Padded to multiples of 32: 32 was seen, 64 and 96 were not.
        assert compare._count_shapes(batches, cfg) == dict(warm_up=1, timed=3, first_seen_when_timed=2)

    @pytest.mark.parametrize(('device', 'rounds'), [('cuda', 200), ('cpu', 50)])
    def test_there_are_enough_steps_for_a_tail_on_a_gpu(self, segmenter, monkeypatch, device, rounds):
        timed = []
        monkeypatch.setattr(compare, '_compare', lambda runs, rounds, with_data: timed.append(rounds) or {})
        monkeypatch.setattr(compare, 'MeasuredRun', lambda *_: SimpleNamespace(model=None))
        monkeypatch.setattr(compare, 'copy_weights', lambda *_: None)
        monkeypatch.setattr(compare, 'default_device', lambda: torch.device(device))
        benchmark_training(segmenter, batch_size=1)
        assert timed == [rounds]


@pytest.mark.full
def test_the_configs_own_data_is_read_if_asked_for(segmenter, demo_data, monkeypatch):
    monkeypatch.chdir(demo_data)
    cfg = copy.deepcopy(segmenter)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    result = benchmark_training(cfg, rounds=1, with_data=True, batch_size=2, scale=0.25)
    assert result['with_data'] and result['shapes'] is None
    assert all(len(contender['seconds']) == 1 for contender in result['contenders'].values())


class TestMistakes:
    @pytest.mark.parametrize(
        ('options', 'message'), [(dict(with_data=True), 'data_root'), (dict(batch_size=0), 'batch_size: must be')]
    )
    def test_of_data_are_found_before_anything_runs(self, segmenter, tmp_path, monkeypatch, options, message):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UsageError, match=message):
            prepare_config(segmenter, tmp_path / 'data', **options)

    def test_no_rounds_are_refused(self, segmenter):
        with pytest.raises(UsageError, match='rounds: must be at least 1'):
            benchmark_training(segmenter, rounds=0)

    def test_a_config_that_does_not_train_is_refused(self, segmenter, tmp_path):
        cfg = copy.deepcopy(segmenter)
        cfg.train_dataloader = None
        with pytest.raises(UsageError, match='it has no train_dataloader'):
            prepare_config(cfg, tmp_path)


class TestMain:
    @pytest.fixture
    def measured(self, figures, monkeypatch):
        """The options of a measurement, whose figures are those above."""
        options = {}

        def measure(cfg, switches, rounds, **others):
            options.update(switches=switches, rounds=rounds, **others)
            return figures

        monkeypatch.setattr(compare, 'load_config', lambda *_, **__: None)
        monkeypatch.setattr(compare, 'benchmark_training', measure)
        return options

    def test_prints_and_saves_the_figures(self, call, measured, figures, tmp_path):
        out = tmp_path / 'a' / 'b.json'
        options = ['--batch-size', 1, '--scale', 0.25, '--rounds', 2, '--out', out, '--speed', 'channels_last']
        result = call(compare.main, DETECTOR, *options)
        assert result.status == 0
        assert table(figures) in result.out
        assert json.loads(out.read_text())['cases'][0]['ratio'] == figures['ratio']
        assert measured == dict(switches=['channels_last'], rounds=2, batch_size=1, scale=0.25, with_data=False)

    def test_fails_if_the_first_losses_differ(self, call, measured, figures, monkeypatch):
        monkeypatch.setitem(figures['first_losses'], 'agree', False)
        result = call(compare.main, DETECTOR)
        assert result.status == 1
        assert 'WHICH DIFFER' in result.out

    def test_a_mistake_is_one_line(self, call):
        result = call(compare.main, 'no.py')
        assert (result.status, result.err.count('\n')) == (2, 1)
