"""The profile of a training step names what is slow."""

import json
import os
import subprocess
import sys
import time
from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
from helpers.demo_runs import DETECTOR, FEW_WORKERS, ROOT, SEGMENTER
from mmengine.hooks import Hook
from torch import nn

from benchmarks.measure import profiler
from benchmarks.training import compare, profile
from benchmarks.training.measured_run import MeasuredRun
from benchmarks.training.profile import mark_parts, profile_training, table
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError
from convnext_dense.hooks.speed.compile_hook import CompiledForward
from convnext_dense.registry import HOOKS

SLEEP = 0.2
STEPS = 1


class _SlowBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        _work()
        return grad


def _work():
    matrix = torch.ones(512, 512)
    end = time.perf_counter() + SLEEP
    while time.perf_counter() < end:
        matrix = (matrix @ matrix).clamp(max=1)


@HOOKS.register_module()
class SlowHook(Hook):
    """Makes the backbone's forward pass and a backward pass slow, and sleeps after each step."""

    def before_train(self, runner):
        runner.model.backbone.norm0.register_forward_pre_hook(lambda *_: _work())
        runner.model.roi_head.bbox_head.fc_cls.register_forward_hook(lambda _, args, x: _SlowBackward.apply(x))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        time.sleep(SLEEP)


@pytest.fixture(scope='module')
def profiled(tmp_path_factory):
    """The profile of a slow detector, the seconds of each step by a clock, and the trace."""
    trace, seconds = tmp_path_factory.mktemp('profile') / 'new' / 'trace.json', []
    step = MeasuredRun.step

    def clocked(run):
        start = time.perf_counter()
        step(run)
        seconds.append(time.perf_counter() - start)

    cfg = load_config(str(DETECTOR))
    cfg.custom_hooks = [dict(type='convnext_dense.SlowHook')]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MeasuredRun, 'step', clocked)
        patch.setattr(compare, 'NUM_IMAGES', 4)
        patch.setattr(profile, 'WARM_UP', 1)
        figures = profile_training(cfg, steps=STEPS, trace=trace, batch_size=2, scale=0.3)
    return figures, seconds[-STEPS:], json.loads(trace.read_text())


class TestFigures:
    def test_the_step_is_what_a_clock_measures(self, profiled):
        figures, seconds, _ = profiled
        assert figures['step'] == pytest.approx(sum(seconds) / STEPS, rel=0.03)

    def test_the_parts_are_those_of_a_two_stage_detector(self, profiled):
        parts = profiled[0]['parts']
        heads = {f'roi_head.{name}' for name in ('bbox_head', 'mask_head', 'bbox_roi_extractor', 'mask_roi_extractor')}
        others = {
            'data',
            'preprocessing',
            'backbone',
            'neck',
            'rpn_head',
            'roi_head',
            'losses',
            'backward',
            'optimizer',
        }
        assert parts.keys() == heads | others | {'host idle'}
        assert min(parts.values()) > 0

    def test_a_part_includes_those_inside_it_once(self, profiled):
        parts = profiled[0]['parts']
        assert parts['roi_head'] > parts['roi_head.bbox_head'] + parts['roi_head.mask_head']
        outermost = ('data', 'preprocessing', 'backbone', 'neck', 'rpn_head', 'roi_head', 'backward', 'optimizer')
        assert sum(parts[name] for name in outermost) < profiled[0]['step']

    def test_kernels_and_idle_time_are_the_step(self, profiled):
        figures = profiled[0]
        busy = sum(kernel['seconds'] for kernel in figures['kernels'].values())
        assert busy + figures['parts']['host idle'] == pytest.approx(figures['step'])

    def test_what_is_slow_shows(self, profiled):
        figures = profiled[0]
        for part in ('backbone', 'backward', 'host idle'):
            assert figures['parts'][part] > 0.9 * SLEEP, part
        assert next(iter(figures['kernels'])) == 'aten::mm'

    def test_the_trace_has_the_parts(self, profiled):
        names = {event.get('name') for event in profiled[2]['traceEvents']}
        assert {'part: backbone', 'part: neck', 'part: optimizer'} < names

    def test_the_table_has_parts_and_kernels(self, profiled):
        figures = profiled[0]
        rows = {line.split()[0]: line.split()[1:] for line in table(figures).splitlines() if line}
        assert rows['backbone'][0] == f'{figures["parts"]["backbone"] * 1e3:.1f}'
        assert rows['step'] == [f'{figures["step"] * 1e3:.1f}', '100.0%']
        assert rows['aten::mm'][0] == f'{figures["kernels"]["aten::mm"]["seconds"] * 1e3:.1f}'


def test_naming_the_parts_does_not_compile_them_again():
    model = nn.Sequential(OrderedDict(neck=nn.Linear(2, 2)))
    # Compiled without generating code.
    model.neck.forward = CompiledForward(model.neck, dict(backend='eager'))
    torch._dynamo.utils.counters.clear()
    model(torch.ones(1, 2))
    mark_parts(SimpleNamespace(model=model, runner=SimpleNamespace(optim_wrapper=None)))
    with profiler(torch.device('cpu')) as record:
        model(torch.ones(1, 2))
    assert 'part: neck' in {event.key for event in record.key_averages()}
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] == 1


class TestMain:
    def test_prints_the_table(self, call, profiled, monkeypatch, tmp_path):
        asked = []
        monkeypatch.setattr(profile, 'load_config', lambda *_, **__: None)
        monkeypatch.setattr(profile, 'profile_training', lambda *a, **options: asked.append(options) or profiled[0])
        result = call(profile.main, DETECTOR, '--trace', tmp_path / 'trace.json', '--scale', 0.5)
        assert table(profiled[0]) in result.out
        assert asked == [dict(trace=str(tmp_path / 'trace.json'), batch_size=None, scale=0.5, with_data=False)]

    def test_no_steps_are_refused(self):
        with pytest.raises(UsageError, match='steps: must be at least 1'):
            profile_training(None, steps=0)

    @pytest.mark.e2e
    def test_starts_as_a_module_and_waits_for_the_data(self, demo_data, tmp_path):
        out = tmp_path / 'figures.json'
        command = [sys.executable, '-W', 'ignore', '-m', 'benchmarks.training.profile', SEGMENTER, '--steps', '1']
        command += ['--batch-size', '2', '--scale', '0.25', '--with-data', '--out', out, '--cfg-options', *FEW_WORKERS]
        environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
        done = subprocess.run(list(map(str, command)), cwd=demo_data, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        (figures,) = json.loads(out.read_text())['cases']
        assert figures['parts']['data'] > 1e-3
        assert figures['parts']['decode_head'] > 0
        assert figures['batch_loading'] is None
