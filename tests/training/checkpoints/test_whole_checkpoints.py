"""Whatever happens while a checkpoint is saved, a whole one is there."""

from pathlib import Path

import pytest
import torch
from helpers.commands import run_command
from helpers.demo_runs import FEW_STEPS, SEGMENTER
from mmengine.runner import Runner

from convnext_dense.training.checkpoints.whole_checkpoints import UNFINISHED


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope='module')
def streets(tmp_path_factory):
    from helpers.data.map_folders import write_map_layout

    root = tmp_path_factory.mktemp('streets')
    write_map_layout(root, 'ADE20K', values=(0, 1, 2))
    (root / 'classes.txt').write_text('road\nsky\n')
    return root


def train(folder, data, *options, resume=False):
    return run_command(
        folder,
        *('train', SEGMENTER, '--data', data, '--work-dir', 'run', *(['--resume'] if resume else [])),
        '--cfg-options',
        *FEW_STEPS,
        *('train_cfg.max_iters=3', 'train_cfg.val_interval=1', 'train_dataloader.batch_size=2'),
        *('default_hooks.checkpoint.interval=1', 'default_hooks.checkpoint.max_keep_ckpts=1', *options),
    )


def stop_at(monkeypatch, number, error):
    """Let the saving of a checkpoint fail, in the middle of its file."""
    saved = []
    whole = Runner.save_checkpoint

    def save(self, out_dir, filename, *args, **kwargs):
        saved.append(filename)
        if len(saved) == number:
            Path(out_dir, filename).write_bytes(b'half a file')
            raise error
        return whole(self, out_dir, filename, *args, **kwargs)

    monkeypatch.setattr(Runner, 'save_checkpoint', save)


def checkpoints(folder):
    return sorted(path.name for path in (folder / 'run').glob('*.pth'))


def test_only_the_last_ones_are_kept(streets, tmp_path):
    assert train(tmp_path, streets, 'default_hooks.checkpoint.save_best=mIoU').status == 0
    names = checkpoints(tmp_path)
    assert len(names) == 2
    assert names[1] == 'iter_3.pth'
    assert not list((tmp_path / 'run').glob(f'*{UNFINISHED}'))


@pytest.mark.parametrize(('number', 'option'), [(2, []), (3, ['default_hooks.checkpoint.save_best=mIoU'])])
def test_a_run_that_is_killed_while_it_saves_has_the_checkpoint_before(number, option, streets, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, number, Killed())
        with pytest.raises(Killed):
            train(tmp_path, streets, *option)
    for name in checkpoints(tmp_path):
        assert torch.load(tmp_path / 'run' / name, weights_only=False)['state_dict']
    assert [name for name in checkpoints(tmp_path) if name.startswith('iter')]
    assert train(tmp_path, streets, *option, resume=True).status == 0


def test_a_full_disk_is_one_sentence_and_leaves_the_checkpoint_before(streets, tmp_path, monkeypatch):
    stop_at(monkeypatch, 2, OSError(28, 'No space left on device'))
    found = train(tmp_path, streets)
    assert found.status == 1
    assert 'iter_2.pth cannot be written: No space left on device. The checkpoints before it are kept' in found.err
    assert 'Traceback' not in found.err
    assert checkpoints(tmp_path) == ['iter_1.pth']
    assert not list((tmp_path / 'run').glob(f'*{UNFINISHED}'))
