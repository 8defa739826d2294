"""`--speed auto` takes what is faster in steps that it times."""

import copy

import pytest
from helpers.demo_runs import DETECTOR, FEW_WORKERS
from mmengine.logging import MMLogger

from convnext_dense.apis import fastest_switches
from convnext_dense.apis.fastest_switches import Trial, find_switches
from convnext_dense.config import enable_speed, load_config
from convnext_dense.errors import UsageError

PLAIN = 1.0


@pytest.fixture
def cfg(demo_data, monkeypatch):
    monkeypatch.chdir(demo_data)
    return load_config(str(DETECTOR), iters=1000)


@pytest.fixture
def timed(monkeypatch):
    """Give each set of switches its seconds a step and at the start; others fail."""

    def time(seconds):
        def trial(cfg, switches):
            step, start = seconds[tuple(switches)]
            return Trial(tuple(switches), step, start)

        monkeypatch.setattr(fastest_switches, '_try', trial)

    return time


@pytest.mark.parametrize(
    ('seconds', 'chosen'),
    [
        (dict(), ['data']),
        (dict(channels_last=(0.8, 3)), ['channels_last', 'data']),
        # Less than noise.
        (dict(channels_last=(0.99, 3)), ['data']),
        # It compiles for longer than the run gains, or not.
        (dict(compile=(0.8, 300)), ['data']),
        (dict(compile=(0.8, 100)), ['compile', 'data']),
    ],
    ids=['none works', 'one gains', 'noise', 'compiles for too long', 'compiles'],
)
def test_a_switch_is_taken_if_it_pays(cfg, timed, seconds, chosen):
    timed({(): (PLAIN, 3), **{(name,): value for name, value in seconds.items()}})
    assert find_switches(cfg) == chosen


@pytest.mark.parametrize(
    ('together', 'chosen'), [(0.6, ['channels_last', 'fused_adamw', 'data']), (0.75, ['fused_adamw', 'data'])]
)
def test_those_that_hinder_each_other_are_not_taken_together(cfg, timed, together, chosen):
    alone = {('channels_last',): (0.8, 3), ('fused_adamw',): (0.7, 3)}
    timed({(): (PLAIN, 3), **alone, ('channels_last', 'fused_adamw'): (together, 3)})
    assert find_switches(cfg) == chosen


def test_a_short_run_does_not_compile(cfg, timed):
    cfg.train_cfg.max_iters = 10
    timed({(): (PLAIN, 3), ('compile',): (0.1, 0)})
    assert find_switches(cfg) == ['data']


def test_steps_are_made_and_nothing_is_left_behind(cfg, monkeypatch):
    monkeypatch.setattr(fastest_switches, 'SECONDS', 0)
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    before, logger = copy.deepcopy(cfg.to_dict()), MMLogger.get_current_instance()
    trial = fastest_switches._try(cfg, ['channels_last'])
    assert trial.step > 0
    assert cfg.to_dict() == before
    assert MMLogger.get_current_instance() is logger


def test_what_cannot_be_trained_is_an_error(cfg):
    cfg.model.backbone.arch = 'no-such'
    with pytest.raises(UsageError, match='speed: auto cannot make a step of training'):
        find_switches(cfg)


def test_several_processes_are_an_error(cfg):
    cfg.launcher = 'pytorch'
    with pytest.raises(UsageError, match='speed: auto times steps in one process'):
        find_switches(cfg)


@pytest.mark.parametrize('words', [['auto', 'bf16'], ['bf16', 'auto']])
def test_it_stands_alone(command, words):
    result = command('train', DETECTOR, '--speed', *words)
    assert result.status == 2
    assert '--speed: auto stands alone' in result.err


def test_in_a_test_it_is_an_error(command):
    assert '--speed: auto stands alone, in a training' in command('test', DETECTOR, 'a.pth', '--speed', 'auto').err


def test_in_python_it_is_an_error(cfg):
    with pytest.raises(UsageError, match='auto stands alone'):
        enable_speed(cfg, ['auto'])


def test_the_config_of_the_run_has_what_was_chosen(command, tmp_path, monkeypatch):
    monkeypatch.setattr(fastest_switches, 'find_switches', lambda cfg: ['channels_last'])
    options = ['--iters', '1', '--work-dir', tmp_path, '--cfg-options', *FEW_WORKERS]
    result = command('train', DETECTOR, '--speed', 'auto', *options)
    assert result.status == 0, result.err
    assert 'ChannelsLastHook' in (tmp_path / DETECTOR.name).read_text()
