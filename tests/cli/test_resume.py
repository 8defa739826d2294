"""`convnext-dense train --resume`, when what it resumes is not what it should be."""

import os
import re
import shutil

import pytest
import torch
from helpers.demo_runs import FEW_WORKERS, SEGMENTER, segmenter_options
from helpers.weights.hostile_checkpoints import REFUSED, change, save_hostile, save_zip_bomb

OPTIONS = segmenter_options(6)


@pytest.fixture
def run(segmenter, tmp_path):
    """A copy of the segmenter's work dir after four steps; `last_checkpoint` has the old, absolute path."""
    shutil.copytree(segmenter.work_dir, tmp_path / 'run')
    for file in (tmp_path / 'run').glob('*.pth'):
        file.touch()
    return tmp_path / 'run'


@pytest.fixture
def resume(command, run):
    """Resume the run, with options behind the usual ones."""

    def resume_with(*options, checkpoint=None, config=SEGMENTER):
        file = [checkpoint] if checkpoint else []
        return command('train', config, '--work-dir', run, '--resume', *file, '--cfg-options', *OPTIONS, *options)

    return resume_with


@pytest.fixture
def changed(run):
    """Save the run's last checkpoint with changes."""

    def save(**changes):
        path = run / 'changed.pth'
        checkpoint = {**torch.load(run / 'iter_4.pth'), **changes}
        torch.save({key: value for key, value in checkpoint.items() if value is not None}, path)
        return path

    return save


class TestAuto:
    def test_a_finished_run_says_so(self, resume):
        result = resume('train_cfg.max_iters=4')
        assert result.status == 0
        assert 'the run is finished' in result.out
        assert 'iter 4 of 4' in result.out

    def test_says_that_the_warm_up_is_over(self, resume):
        result = resume('param_scheduler.0.end=3', '--skip-check', 'schedule')
        assert result.status == 0, result.err[-3000:]
        assert re.search('warm-up +over, it was 3 steps', result.out)

    def test_without_last_checkpoint_takes_the_newest_good_one(self, resume, run):
        (run / 'last_checkpoint').unlink()
        (run / 'iter_4.pth').write_bytes((run / 'iter_4.pth').read_bytes()[:-3000])
        result = resume()
        assert result.status == 0, result.err[-3000:]
        assert f'resuming from {run / "iter_2.pth"}' in result.out
        assert 'iter: 2' in result.out

    def test_without_any_good_one_is_an_error(self, resume, run):
        for file in run.glob('*.pth'):
            file.write_bytes(b'PK')
        result = resume()
        assert result.status == 2
        assert 'no other checkpoint' in result.error


class TestCheckpoint:
    def test_another_schedule_and_rate_are_named(self, resume):
        result = resume('param_scheduler.0.end=7', 'optim_wrapper.optimizer.lr=0.5', 'train_cfg.max_iters=5')
        assert result.status == 0, result.err[-3000:]
        (warning,) = [line for line in result.err.splitlines() if line.startswith('warning: resume')]
        assert 'optim_wrapper.optimizer.lr (0.5 instead of' in warning
        assert 'param_scheduler.0.end (7 instead of' in warning
        assert "the checkpoint's values count" in warning

    def test_it_can_follow_the_configs_schedule(self, command, run):
        changes = ['param_scheduler.0.end=7', 'optim_wrapper.optimizer.lr=0.5', 'train_cfg.max_iters=5']
        flags = ['--resume', '--resume-with', 'config']
        result = command('train', SEGMENTER, '--work-dir', run, *flags, '--cfg-options', *OPTIONS, *changes)
        assert result.status == 0, result.err[-3000:]
        (warning,) = [line for line in result.err.splitlines() if line.startswith('warning: resume')]
        assert "the config's values count." in warning
        saved = torch.load(run / 'iter_5.pth')
        assert saved['optimizer']['param_groups'][0]['initial_lr'] == 0.5

    def test_how_to_resume_needs_resume(self, command):
        result = command('train', SEGMENTER, '--resume-with', 'config')
        assert result.status == 2
        assert 'give resume, too' in result.error

    def test_the_same_config_warns_of_nothing(self, resume):
        assert 'warning: resume' not in resume('train_cfg.max_iters=5').err

    @pytest.mark.parametrize(
        'changes',
        [
            dict(meta=None), dict(message_hub=None), dict(message_hub='x'), dict(state_dict='x'), dict(state_dict=None),
            dict(state_dict={1: torch.ones(1)}), dict(meta=dict(epoch=1, iter='x')),
            dict(meta=dict(epoch=1, iter=-4)), dict(meta=dict(epoch=2**99, iter=2**99)), dict(optimizer='x'),
            dict(optimizer=dict(state={}, param_groups=[{'params': [0]}])), dict(param_schedulers=[3]),
            dict(training_state=3), dict(training_state=dict(batch=1)),
        ],
    )  # fmt: skip
    def test_of_another_form_is_one_sentence(self, changes, resume, changed):
        result = resume(checkpoint=changed(**changes))
        assert result.status == 2
        assert 'load_from' in result.error or 'holds no weights' in result.error

    def test_of_another_task_is_one_sentence(self, resume, detector):
        result = resume(checkpoint=detector.checkpoint)
        assert result.status == 2
        assert 'load_from' in result.error

    def test_does_not_run_its_config_or_delete_by_its_names(self, resume, changed, run):
        meta = torch.load(run / 'iter_4.pth')['meta']
        hub = torch.load(run / 'iter_4.pth')['message_hub']
        victim = run.parent / 'thesis.tex'
        victim.write_text('x')
        hub['runtime_info'] |= dict(best_ckpt=str(victim), best_score=-1.0)
        config = f'__import__("pathlib").Path({str(run / "ran")!r}).write_text("x")'
        path = changed(meta={**meta, 'config': config}, message_hub=hub)
        result = resume('default_hooks.checkpoint.save_best=mIoU', checkpoint=path)
        assert result.status == 0, result.err[-3000:]
        assert not (run / 'ran').exists()
        assert victim.exists()
        assert list(run.glob('best_*.pth'))


@pytest.mark.full
class TestHostileCheckpoints:
    """Every kind of file in every command that reads one."""

    @pytest.mark.parametrize(
        'how', [*REFUSED, 'zip bomb', 'a pipe', 'a device'], ids=lambda how: getattr(how, '__name__', how)
    )
    @pytest.mark.parametrize(
        'arguments',
        [
            ['train', SEGMENTER, '--resume', '{}'],
            ['train', SEGMENTER, '--cfg-options', 'load_from={}'],
            ['train', SEGMENTER, '--cfg-options', 'model.backbone.init_cfg._delete_=True',
             'model.backbone.init_cfg.type=Pretrained',
             'model.backbone.init_cfg.checkpoint={}'],
            ['train', SEGMENTER, '--cfg-options', 'model.init_cfg.type=Pretrained', 'model.init_cfg.checkpoint={}'],
            ['test', SEGMENTER, '{}'],
            ['weights', 'inspect', '{}'],
            ['weights', 'convert', '{}', 'hostile_out.pth'],
        ],
        ids=['resume', 'load_from', 'init_cfg_backbone', 'init_cfg_model', 'test', 'inspect', 'convert'],
    )  # fmt: skip
    def test_are_refused(self, how, arguments, segmenter, command, tmp_path):
        good = torch.load(segmenter.checkpoint)
        path = tmp_path / 'hostile.pth'
        if how == 'zip bomb':
            save_zip_bomb(good, path, 2**28)
        elif how == 'a pipe':
            os.mkfifo(path)
        elif how == 'a device':
            path.symlink_to('/dev/zero')
        else:
            save_hostile(change(good, how, tmp_path / 'ran'), path)
        # Workers of a run that is refused take seconds to end.
        options = ['--work-dir', tmp_path, '--cfg-options', *FEW_WORKERS] if arguments[0] != 'weights' else []
        words = [str(word).format(path) for word in arguments]
        result = command(*words, *options)
        assert result.status == 2
        assert 'hostile.pth' in result.error
        assert not (tmp_path / 'ran').exists()
