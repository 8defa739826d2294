"""The profile of a training step names what is slow, and its parts are the step."""

import json
import time
from pathlib import Path

import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from benchmarks.training.profile import profile_table, profile_training
from benchmarks.training.stepped_run import Trainer
from convnext_dense.config import load_config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
DETECTOR = CONFIGS / 'demo/mask-rcnn_convnext-demo_fpn_demo-coco.py'
SEGMENTER = CONFIGS / 'demo/upernet_convnext-demo_demo-ade20k.py'
SLEEP = 0.3


class _SlowBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        _work()
        return gradient


def _work():
    matrix = torch.ones(512, 512)
    end = time.perf_counter() + SLEEP
    while time.perf_counter() < end:
        matrix = (matrix @ matrix).clamp(max=1)


@HOOKS.register_module()
class SlowHook(Hook):
    """Makes a part of the model slow, or sleeps after each step."""

    def __init__(self, where):
        self.where = where

    def before_train(self, runner):
        if self.where == 'backbone':
            runner.model.backbone.norm0.register_forward_pre_hook(lambda *_: _work())
        if self.where == 'backward of the neck':
            runner.model.neck.lateral_convs[0].register_forward_hook(lambda _, args, x: _SlowBackward.apply(x))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.where == 'hook':
            time.sleep(SLEEP)


def profiled(config, steps=2, slow=None, **options):
    cfg = load_config(str(config))
    if slow:
        cfg.custom_hooks = [dict(type='SlowHook', where=slow)]
    return profile_training(cfg, batch_size=2, scale=0.3, steps=steps, **options)


def total(result):
    return sum(sum(times.values()) for times in result['parts'].values())


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    """A profile, the seconds of each step on a clock of its own, and the folder with the files."""
    folder, seconds = tmp_path_factory.mktemp('profile'), []
    step = Trainer.step

    def clocked(trainer):
        start = time.perf_counter()
        step(trainer)
        seconds.append(time.perf_counter() - start)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, 'step', clocked)
        return profiled(DETECTOR, out=str(folder)), seconds, folder


class TestTheParts:
    def test_add_up_to_the_step_that_a_clock_measures(self, detector):
        result, seconds, _ = detector
        measured = sum(seconds[-2:]) / 2
        assert result['step'] == pytest.approx(measured, rel=0.03)
        assert total(result) == pytest.approx(result['step'], rel=1e-6)

    def test_are_those_of_a_two_stage_detector(self, detector):
        parts = detector[0]['parts']
        heads = {f'roi_head.{name}' for name in ('bbox_head', 'mask_head', 'bbox_roi_extractor', 'mask_roi_extractor')}
        assert heads < parts.keys()
        assert {'data', 'preprocessing', 'backbone', 'neck', 'rpn_head', 'roi_head', 'losses', 'optimizer'} < set(parts)

    def test_have_a_forward_and_a_backward_pass_where_there_are_weights(self, detector):
        parts = detector[0]['parts']
        for name in ('backbone', 'neck', 'rpn_head', 'roi_head.bbox_head', 'roi_head.mask_head'):
            assert parts[name]['forward'] > 0 < parts[name]['backward'], name
        assert parts['optimizer']['forward'] > 0
        assert parts['optimizer']['backward'] == parts['preprocessing']['backward'] == 0

    def test_leave_next_to_nothing_over(self, detector):
        other = detector[0]['parts']['other']
        assert other['forward'] + other['backward'] < 0.05 * detector[0]['step']


class TestTheFiles:
    def test_are_the_figures_and_a_trace(self, detector):
        result, _, folder = detector
        saved = json.loads((folder / 'profile.json').read_text())
        assert saved['parts'] == result['parts']
        names = {event.get('name') for event in json.loads((folder / 'trace.json').read_text())['traceEvents']}
        assert {'part: backbone', 'part: optimizer'} < names

    def test_say_the_same_as_the_table(self, detector):
        result = detector[0]
        table = profile_table(result)
        rows = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line}
        backbone = result['parts']['backbone']
        assert rows['backbone'][:2] == [f'{backbone[way] * 1e3:.1f}' for way in ('forward', 'backward')]
        assert rows['step'][2:] == [f'{result["step"] * 1e3:.1f}', '100.0%']
        assert f'The next bottleneck: {result["bottleneck"]["part"]}' in table
        kernel = result['bottleneck']['kernel']
        assert result['kernels'][kernel]['seconds'] == max(each['seconds'] for each in result['kernels'].values())


def test_a_slow_backbone_is_the_bottleneck():
    result = profiled(SEGMENTER, slow='backbone', steps=1)
    assert result['bottleneck']['part'] == 'backbone'
    assert result['parts']['backbone']['forward'] > SLEEP * 0.9
    assert result['bottleneck']['kernel'] == 'aten::mm'


def test_a_slow_backward_pass_is_its_parts():
    result = profiled(DETECTOR, slow='backward of the neck', steps=1)
    assert result['bottleneck']['part'] == 'neck'
    assert result['parts']['neck']['backward'] > SLEEP * 0.9


def test_the_backward_pass_of_what_is_compiled_is_its_parts():
    cfg = load_config(str(DETECTOR))
    # Without the minutes that generating code for a CPU takes.
    cfg.custom_hooks = [dict(type='convnext_dense.CompileHook', modules=['backbone', 'neck'], backend='aot_eager')]
    torch._dynamo.utils.counters.clear()
    result = profile_training(cfg, batch_size=2, scale=0.3, steps=1)
    parts = result['parts']
    for name in ('backbone', 'neck'):
        assert parts[name]['backward'] > 0.5 * parts[name]['forward'] > 0, name
    assert parts['other']['forward'] + parts['other']['backward'] < 0.05 * result['step']
    assert total(result) == pytest.approx(result['step'], rel=1e-6)
    # Naming the parts does not compile anything anew.
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] == 2


def test_a_host_that_idles_is_a_gap_outside_of_the_model():
    result = profiled(SEGMENTER, slow='hook', steps=1)
    assert result['bottleneck']['part'] == 'host gaps'
    assert result['parts']['other']['gap'] > SLEEP * 0.9
    assert 'in other' in profile_table(result)


def test_waiting_for_the_data_is_the_part_data(demo_data, monkeypatch):
    monkeypatch.chdir(demo_data)
    transform = LoadImageFromFile.transform

    def slowly(self, results):
        time.sleep(SLEEP / 2)
        return transform(self, results)

    monkeypatch.setattr(LoadImageFromFile, 'transform', slowly)
    cfg = load_config(str(SEGMENTER))
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    result = profile_training(cfg, batch_size=2, scale=0.25, steps=1, with_data=True)
    assert result['bottleneck']['part'] == 'data'
    assert result['parts']['data']['forward'] > SLEEP * 0.9
    assert result['batch_loading'] is None
