"""No command answers a wrong call with a traceback, whatever is wrong."""

import os
from collections.abc import Iterator

import pytest
import torch
from helpers.commands import run_command
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from convnext_dense.cli.main import main
from convnext_dense.config import load_config
from convnext_dense.training.checkpoints.work_dir_lock import locked_work_dir

UNWRITABLE = [os.devnull, '/proc/x', __file__, os.path.join(__file__, 'x')]
WRONG_VALUES = {
    '--backbone': ['', 'nonsense', 'timm/nonsense', 'mmdet/', 'convnext_tiny((', 'convnext_tiny(x=1)'],
    '--work-dir': ['', *UNWRITABLE],
    '--resume': ['', 'nowhere.pth', os.devnull, 's3://a.pth'],
    '--speed': ['', 'nonsense'],
    '--skip-check': ['', 'nonsense'],
    '--launcher': ['', 'nonsense', 'pytorch', 'slurm', 'mpi'],
    '--cfg-options': ['', 'nonsense', '=1', 'a..b=1', 'model=3', 'model.type=x', 'a=[1,(2]', 'model.x=dict(a=1)'],
    '--backbones': ['', 'nonsense'],
    '--seeds': ['', 'x', '-1'],
    '--gpus': ['', 'x', '-1'],
    '--split': ['', 'all'],
    '--count': ['', 'x', '0'],
    '--seed': ['', 'x', '-1'],
    '--shape': ['', 'x', '0'],
    '--steps': ['', 'x', '0'],
    '--config': ['', 'nowhere.py', os.devnull],
    '--to': ['', 'x'],
    '--size': ['', 'x', '0', '1'],
    '--out': ['', *UNWRITABLE],
    '--show-dir': ['', *UNWRITABLE],
}
CONFIG = ['--cfg-options', '--work-dir']
# A command with what it cannot do without, and its flags.
CALLS = [
    (['train', SEGMENTER], [*CONFIG, '--backbone', '--resume', '--speed', '--skip-check', '--launcher']),
    (['test', SEGMENTER, __file__], [*CONFIG, '--out', '--show-dir', '--speed', '--skip-check', '--launcher']),
    (['compare', SEGMENTER, '--backbones', 'convnext_atto', '--from-scratch'], [*CONFIG, '--seeds', '--gpus']),
    (['compare', SEGMENTER], ['--backbones']),
    (['browse', SEGMENTER], [*CONFIG, '--out', '--split', '--count', '--seed', '--skip-check']),
    (['flops', SEGMENTER], ['--cfg-options', '--shape', '--backbone']),
    (['weights', 'inspect', 'nowhere.pth'], ['--config']),
    (['weights', 'convert', 'nowhere.pth', 'new.pth'], ['--to']),
    (['demo'], ['--work-dir', '--steps']),
    (['demo', '--only-data'], ['--size', '--out']),
]
# What would only take long or much memory, and is not wrong.
SIZES = (
    *('max_epochs', 'max_iters', 'num_workers', 'scale', 'crop_size', 'size', 'channels', 'depths', 'arch'),
    *('num_classes', 'end', 'pad_size_divisor', 'feat_channels', 'scales', 'out_size', 'batch_size', 'times'),
)
FEWER = ['train_dataloader.batch_size=2', 'model.backbone.arch.depths=[1,1,1,1]', 'val_dataloader.dataset.indices=1']
KINDS = {
    'none': None,
    'text': 'nonsense',
    'negative': -1,
    'zero': 0,
    'huge': 10**9,
    'list': ['a', 'b'],
    'dict': {'a': 1},
}


class TestCalls:
    @pytest.mark.parametrize(
        'arguments',
        [[*call, flag, value] for call, flags in CALLS for flag in flags for value in WRONG_VALUES[flag]],
        ids=lambda arguments: ' '.join(str(argument).rpartition('/')[2] for argument in arguments),
    )
    def test_with_a_wrong_value_end_in_one_line(self, command, arguments):
        result = command(*arguments)
        assert result.status == 2, result
        assert 'Traceback' not in result.err
        assert result.err.count('error: ') == 1

    @pytest.mark.parametrize(
        'address', ['s3://a.pth', 'pavi://a', 'open-mmlab://a', 'mmcls://a', 'ftp://a', 'timm://a']
    )
    @pytest.mark.parametrize('call', [['inspect'], ['convert']], ids=lambda call: call[0])
    def test_with_a_wrong_address_end_in_one_line(self, command, call, address):
        result = command('weights', *call, address, *(['new.pth'] if call == ['convert'] else []))
        assert result.status == 2
        assert address in result.error


class TestAbbreviations:
    def test_are_no_options(self, command):
        result = command('train', SEGMENTER, '--epoch', '3')
        assert result.status == 2
        assert 'unrecognized arguments: --epoch' in result.error


class TestWorkDirs:
    def test_of_a_training_take_no_other(self, command, tmp_path, monkeypatch):
        monkeypatch.setattr('convnext_dense.training.checkpoints.work_dir_lock.WAIT_SECONDS', 0.1)
        options = ['--work-dir', tmp_path, '--cfg-options', *segmenter_options(1)]
        with locked_work_dir(tmp_path):
            result = command('train', SEGMENTER, *options)
        assert result.status == 2
        assert f'another training runs in {tmp_path}' in result.error
        assert not list(tmp_path.glob('*.py'))
        assert command('train', SEGMENTER, *options).status == 0


class TestClosedOutput:
    def test_is_no_mistake(self, monkeypatch):
        monkeypatch.setattr('sys.stdout', None)
        main(['weights', 'list'])


def keys_of(value: object, key: str) -> Iterator[str]:
    yield key
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from keys_of(item, f'{key}.{name}')


def broken(data: st.DataObject, cfg: Config) -> tuple[str, object]:
    """Return a key of a config that a run reads, and a value that is wrong, or the value under a misspelt key."""
    tops = ('model', 'train_dataloader', 'val_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_cfg')
    tops += ('val_evaluator', 'default_hooks', 'visualizer', 'log_processor', 'env_cfg', 'log_level', 'default_scope')
    keys = [key for top in tops for key in keys_of(cfg.to_dict()[top], top) if not key.endswith('_scope_')]
    key = data.draw(st.sampled_from(keys))
    kind = data.draw(st.sampled_from([*KINDS, 'misspelt']))
    holder, _, name = key.rpartition('.')
    if kind == 'misspelt' and len(name) > 2:
        return f'{holder}.{name[0]}{name[2:]}'.lstrip('.'), 1
    is_size = set(key.split('.')[-2:]) & set(SIZES) or name.startswith('num_')
    if kind == 'misspelt' or (kind == 'huge' and is_size):
        kind = 'text'
    return key, KINDS[kind]


class TestConfigs:
    def check(self, demo_data, tmp_path, data: st.DataObject) -> None:
        config, options = data.draw(
            st.sampled_from([(DETECTOR, detector_options(1)), (SEGMENTER, segmenter_options(1))])
        )
        key, value = broken(data, load_config(str(config)))
        options = [option for option in [*options, *FEWER] if not option.startswith((f'{key}=', f'{key}.'))]
        if config == DETECTOR and not key.startswith('train_dataloader'):
            options.append('train_dataloader.dataset.indices=2')
        state = torch.random.get_rng_state()
        result = run_command(
            demo_data, 'train', config, '--work-dir', tmp_path, '--cfg-options', *options, f'{key}={value!r}'
        )
        torch.random.set_rng_state(state)
        assert result.status in (0, 2), (key, value, result.err[-2000:])
        assert 'Traceback' not in result.err
        assert 'since it failed' not in result.err
        assert result.err.count('error: ') == (result.status == 2)

    @settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_with_one_wrong_key_train_or_end_in_one_line(self, demo_data, tmp_path, data):
        self.check(demo_data, tmp_path, data)

    @pytest.mark.full
    @settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_with_any_wrong_key_train_or_end_in_one_line(self, demo_data, tmp_path, data):
        self.check(demo_data, tmp_path, data)
