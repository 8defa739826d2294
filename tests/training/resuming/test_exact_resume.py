"""A run that is stopped at any step and resumed equals one that was never stopped, bit for bit."""

import functools
import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch
from helpers.commands import Result, chdir, run_command
from helpers.demo_runs import DETECTOR, FEW_STEPS, SEGMENTER
from mmengine.logging import HistoryBuffer, MessageHub

from convnext_dense.apis.launching.processes import Command, launch
from convnext_dense.weights.storage.files import read_file

EVERY_STEP = ['default_hooks.checkpoint.interval=1', 'default_hooks.checkpoint.by_epoch=False']
EVERY_STEP += ['default_hooks.checkpoint.max_keep_ckpts=-1', 'default_hooks.checkpoint.save_best=auto']
# They differ from run to run.
TIMES = ('time', 'data_time', 'memory')


def train(command, config, work_dir, *options, flags=()):
    run = command('train', config, '--work-dir', work_dir, *flags, '--cfg-options', *FEW_STEPS, *EVERY_STEP, *options)
    assert run.status == 0, run.err
    return run.out


def scalars(work_dir: Path) -> dict[tuple, str]:
    """Return what each step and each validation logged, by its step and what it is."""
    lines = itertools.chain.from_iterable(
        file.read_text().splitlines() for file in sorted(work_dir.glob('*/vis_data/scalars.json'))
    )
    entries = [json.loads(line) for line in lines]
    return {
        (entry['step'], 'loss' in entry): str({key: value for key, value in entry.items() if key not in TIMES})
        for entry in entries
    }


def same(own, other, path='') -> list[str]:
    """Return where two trees of values differ."""
    if isinstance(own, HistoryBuffer):
        return same(list(own._log_history), list(other._log_history), path)
    if isinstance(own, MessageHub):
        return same(vars(own), vars(other), path)
    if isinstance(own, torch.Tensor):
        return [] if own.dtype == other.dtype and torch.equal(own, other) else [path]
    if isinstance(own, dict):
        if set(own) != set(other):
            return [f'{path}: {set(own) ^ set(other)}']
        return [part for key in own for part in same(own[key], other[key], f'{path}.{key}')]
    if isinstance(own, list | tuple):
        if len(own) != len(other):
            return [f'{path}: {len(own)} != {len(other)}']
        return [part for i, (a, b) in enumerate(zip(own, other, strict=True)) for part in same(a, b, f'{path}.{i}')]
    try:
        return [] if own == other or own != own else [f'{path}: {own} != {other}']
    except ValueError:
        return [] if (own == other).all() else [path]


def differences(work_dir: Path, other: Path, name: str) -> list[str]:
    """Return where two checkpoints differ, except in what names a time or a place."""
    own, other = read_file(work_dir / name), read_file(other / name)
    for content in (own, other):
        for key in ('cfg', 'time', 'experiment_name'):
            content['meta'].pop(key)
        hub = content['message_hub']
        hub = hub if isinstance(hub, dict) else vars(hub)
        for key in [key for key in hub['log_scalars'] if key.endswith(TIMES)]:
            del hub['log_scalars'][key]
        for key in ('last_ckpt', 'best_ckpt', 'cfg', 'experiment_name'):
            hub['runtime_info'].pop(key, None)
    return same(own, other)


def check(command, tmp_path, config, last, stops, *options, flags=(), resume_flags=()):
    whole = tmp_path / 'whole'
    train(command, config, whole, *options, flags=flags)
    for stop in stops:
        work_dir = tmp_path / f'stopped-{stop}'
        work_dir.mkdir()
        # As a kill leaves it, right after it was saved.
        shutil.copy(whole / f'iter_{stop}.pth', work_dir)
        (work_dir / 'last_checkpoint').write_text(str(work_dir / f'iter_{stop}.pth'))
        resume = ['--resume', work_dir / f'iter_{stop}.pth', *resume_flags]
        train(command, config, work_dir, *options, flags=[*flags, *resume])
        assert differences(whole, work_dir, f'iter_{last}.pth') == []
        resumed = scalars(work_dir)
        assert resumed.items() <= scalars(whole).items()
        assert {step for step, is_training in resumed if is_training} == set(range(stop + 1, last + 1))


DETECTION = ['train_cfg.max_epochs=2', 'train_cfg.val_interval=1']
SEGMENTATION = ['train_cfg.max_iters=6', 'train_cfg.val_interval=2']
DROP_PATH = 'model.backbone.drop_path_rate=0.2'
FLAGS = ['--ema', '--accumulate', '3', '--save-best', '--patience', '5']
# Each step has a fourth of the images.
ALL_IMAGES = ['train_cfg.max_iters=4', 'train_cfg.val_interval=4', 'train_dataloader.batch_size=4']
WORKERS = ['train_dataloader.num_workers=4', 'train_dataloader.persistent_workers=True']


def test_a_detector_in_the_middle_of_an_epoch_and_of_an_update(command, tmp_path):
    check(command, tmp_path, DETECTOR, 8, [5], *DETECTION, DROP_PATH, flags=FLAGS)


def test_a_segmenter_before_a_validation(command, tmp_path):
    check(command, tmp_path, SEGMENTER, 4, [2], 'train_cfg.max_iters=4', 'train_cfg.val_interval=2')


@pytest.mark.full
def test_a_segmenter_whose_images_are_replaced(demo_data, tmp_path):
    shutil.copytree(demo_data / 'data', tmp_path / 'data')
    images = sorted((tmp_path / 'data').glob('demo/ade/*/images/training/*'))
    for image in images[:3]:
        image.write_bytes(b'')
    command = functools.partial(run_command, tmp_path)
    check(command, tmp_path, SEGMENTER, 4, [2], *ALL_IMAGES, flags=['--skip-check', 'files', 'images'])
    assert (tmp_path / 'whole' / 'unreadable_files.txt').read_text().count('the file is empty') == 3


@pytest.mark.full
@pytest.mark.parametrize('workers', [[], WORKERS], ids=['0 workers', '4 workers'])
@pytest.mark.parametrize(('variant', 'flags'), [([], []), ([DROP_PATH], FLAGS)], ids=['plain', 'all'])
class TestEveryStep:
    def test_of_a_detector_by_epochs(self, command, tmp_path, variant, flags, workers):
        check(command, tmp_path, DETECTOR, 8, range(1, 8), *DETECTION, *variant, *workers, flags=flags)

    def test_of_a_detector_by_steps(self, command, tmp_path, variant, flags, workers):
        options = ['train_cfg._delete_=True', 'train_cfg.by_epoch=False', 'train_cfg.max_iters=6']
        schedule = 'param_scheduler=[{"type":"PolyLR","by_epoch":False,"begin":0,"end":6}]'
        check(command, tmp_path, DETECTOR, 6, range(1, 6), *options, schedule, *variant, *workers, flags=flags)

    def test_of_a_segmenter_by_steps(self, command, tmp_path, variant, flags, workers):
        check(command, tmp_path, SEGMENTER, 6, range(1, 6), *SEGMENTATION, *variant, *workers, flags=flags)


@pytest.mark.full
@pytest.mark.parametrize(
    ('config', 'last', 'options'), [(DETECTOR, 8, DETECTION), (SEGMENTER, 6, SEGMENTATION)], ids=['epochs', 'steps']
)
def test_the_configs_schedule_is_the_checkpoints_if_they_are_the_same(command, tmp_path, config, last, options):
    check(command, tmp_path, config, last, [5], *options, resume_flags=['--resume-with', 'config'])


@pytest.mark.full
def test_a_run_does_not_depend_on_its_workers(command, tmp_path):
    for name, options in (('none', []), ('four', WORKERS)):
        train(command, DETECTOR, tmp_path / name, *DETECTION, 'randomness.seed=0', *options)
    assert differences(tmp_path / 'none', tmp_path / 'four', 'iter_8.pth') == []


def in_two_processes(demo_data, tmp_path):
    """Return what runs a command in two processes, as `run_command` does in this one."""

    def command(*arguments):
        with chdir(demo_data):
            launch(Command([str(argument) for argument in arguments], tmp_path / 'log', processes=2))
        return Result(0, (tmp_path / 'log').read_text(), '')

    return command


@pytest.mark.e2e
@pytest.mark.parametrize(
    ('config', 'last', 'stop', 'options'),
    [(DETECTOR, 4, 3, DETECTION), (SEGMENTER, 4, 2, ['train_cfg.max_iters=4', 'train_cfg.val_interval=2'])],
    ids=['detector', 'segmenter'],
)
def test_two_processes(demo_data, tmp_path, config, last, stop, options):
    check(
        in_two_processes(demo_data, tmp_path),
        tmp_path,
        config,
        last,
        [stop],
        *options,
        DROP_PATH,
        'optim_wrapper.accumulative_counts=2',
    )


@pytest.mark.e2e
def test_another_number_of_processes_goes_on_with_the_same_data_and_says_so(demo_data, command, tmp_path):
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'train_dataloader.batch_size=2']
    train(in_two_processes(demo_data, tmp_path), DETECTOR, tmp_path / 'run', *options)
    checkpoint = tmp_path / 'run' / 'iter_2.pth'
    options[-1] = 'train_dataloader.batch_size=4'
    flags = ['--resume', checkpoint]
    shown = train(command, DETECTOR, tmp_path / 'one', *options, flags=flags)
    assert '1 process of 4 images now, and 2 of 2 before' in shown
    steps = {step for step, is_training in scalars(tmp_path / 'one') if is_training}
    assert steps == {3, 4}
