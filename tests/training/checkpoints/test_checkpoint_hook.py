"""What is saved, what is deleted, and when nothing is."""

import multiprocessing
import resource
import shutil
import signal

import pytest
import torch
from helpers.toy_runs import toy_runner
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import METRICS

from convnext_dense.errors import RunError, UsageError
from convnext_dense.training.checkpoints import whole_checkpoints
from convnext_dense.training.resuming.finished import is_marked_finished

WHOLE = dict(type='convnext_dense.WholeCheckpointHook')


@METRICS.register_module(force=True)
class Rising(BaseMetric):
    """A score that is better each time, counted by the class."""

    score = 0

    def process(self, data_batch, data_samples):
        """Keep something."""
        self.results.append(0)

    def compute_metrics(self, results):
        """Return the score."""
        Rising.score += 1
        return dict(acc=Rising.score)


class Breaking(Hook):
    """Makes weights, or their averages, NaN right before they are saved."""

    def __init__(self, part):
        self.part = part

    def before_save_checkpoint(self, runner, checkpoint):
        """Break them."""
        checkpoint.setdefault(self.part, {'a': torch.ones(1)})
        checkpoint[self.part] = {name: tensor * torch.nan for name, tensor in checkpoint[self.part].items()}


def train(folder, *hooks, resume=None, **checkpoint):
    is_scored = 'save_best' in checkpoint
    toy_runner(
        folder,
        list(hooks),
        checkpoint=WHOLE | checkpoint,
        load_from=resume,
        with_validation=is_scored,
        metrics=[dict(type='Rising')] if is_scored else (),
    ).train()


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


class TestWeights:
    @pytest.mark.parametrize('part', ['state_dict', 'ema_state_dict'])
    def test_that_are_not_finite_are_never_saved(self, part, tmp_path):
        with pytest.raises(RunError, match=rf'no checkpoint is saved: the {part} of step 0 has'):
            train(tmp_path, Breaking(part))
        assert not names(tmp_path)


class TestDisk:
    def test_without_room_for_one_checkpoint_ends_the_run_before_it_starts(self, tmp_path, monkeypatch):
        monkeypatch.setattr(whole_checkpoints, 'free_bytes', lambda folder: 20)
        with pytest.raises(UsageError, match=r'work_dir: a checkpoint .* takes about 0\.0 MB'):
            train(tmp_path)

    def test_that_is_full_later_keeps_what_is_there(self, tmp_path, monkeypatch):
        rooms = iter([10**9, 10**9, 10**9, 20])
        monkeypatch.setattr(whole_checkpoints, 'free_bytes', lambda folder: next(rooms))
        with pytest.raises(RunError, match='checkpoints before it are kept; resume goes on from the last one'):
            train(tmp_path, max_keep_ckpts=1)
        assert names(tmp_path) == ['iter_2.pth']
        assert torch.load(tmp_path / 'iter_2.pth')['optimizer']


class TestUnfinishedFile:
    def test_of_a_run_that_was_killed_is_removed(self, tmp_path):
        (tmp_path / f'iter_9.pth{whole_checkpoints.UNFINISHED}').write_bytes(b'half a file')
        train(tmp_path)
        assert not list(tmp_path.glob(f'*{whole_checkpoints.UNFINISHED}'))


class TestDropOptimizer:
    def test_leaves_it_out_of_the_last_checkpoint_alone(self, tmp_path):
        train(tmp_path, drop_optimizer=True)
        last, other = (torch.load(tmp_path / f'iter_{step}.pth') for step in (4, 3))
        assert last.keys() == {'meta', 'state_dict', 'message_hub'}
        assert 'optimizer' in other
        assert last['meta']['iter'] == 4


class TestBestCheckpoint:
    def test_of_a_folder_that_was_moved_is_replaced(self, tmp_path):
        train(tmp_path / 'old', save_best='acc', max_keep_ckpts=1)
        assert names(tmp_path / 'old') == ['best_acc_iter_4.pth', 'iter_4.pth']
        (tmp_path / 'old').rename(tmp_path / 'new')
        # As if it had been stopped there.
        content = torch.load(tmp_path / 'new' / 'iter_4.pth')
        content['meta']['iter'] = 3
        torch.save(content, tmp_path / 'new' / 'iter_4.pth')
        train(tmp_path / 'new', resume=str(tmp_path / 'new' / 'iter_4.pth'), save_best='acc', max_keep_ckpts=1)
        assert names(tmp_path / 'new') == ['best_acc_iter_4.pth', 'iter_4.pth']

    def test_of_another_run_stays(self, tmp_path):
        train(tmp_path / 'old', save_best='acc')
        shutil.copytree(tmp_path / 'old', tmp_path / 'copy')
        before = names(tmp_path / 'old')
        train(tmp_path / 'new', resume=str(tmp_path / 'old' / 'iter_2.pth'), save_best='acc')
        assert names(tmp_path / 'old') == before
        assert [name for name in names(tmp_path / 'new') if name.startswith('best')] == ['best_acc_iter_4.pth']


@pytest.mark.e2e
class FilesOf3000Bytes(Hook):
    """Lets this process write no larger files: from its first checkpoint on, or from the end of training."""

    def __init__(self, at_once):
        self.at_once = at_once

    def before_save_checkpoint(self, runner, checkpoint):
        """Limit them."""
        if self.at_once:
            self.after_train(runner)

    def after_train(self, runner):
        """Limit them."""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))


def train_with_a_limit(folder, options, sender):
    """Send the error to a pipe, since files are limited."""
    try:
        train(folder, FilesOf3000Bytes(at_once=not options), **options)
    except RunError as error:
        sender.send(str(error))


@pytest.mark.e2e
class TestRealLimit:
    """A limit of the system, which anyone may set for a process of their own."""

    @pytest.mark.parametrize('options', [{}, dict(drop_optimizer=True)])
    def test_of_a_file_size_is_one_sentence_and_leaves_nothing_behind(self, options, tmp_path):
        receiver, sender = multiprocessing.Pipe(duplex=False)
        # A forked process cannot compute gradients if this one has done so on several threads.
        context = multiprocessing.get_context('spawn')
        process = context.Process(target=train_with_a_limit, args=(tmp_path, options, sender))
        process.start()
        process.join(120)
        assert receiver.poll(1)
        assert 'cannot be written: File too large. The checkpoints before it are kept' in receiver.recv()
        assert not list(tmp_path.glob('*.unfinished'))
        # The last one was there before its optimizer's state was to be dropped.
        assert names(tmp_path) == ([f'iter_{step}.pth' for step in range(1, 5)] if options else [])


class TestFinished:
    def test_is_no_longer_said_where_another_run_begins(self, tmp_path):
        class Failing(Hook):
            def before_train_iter(self, runner, batch_idx, data_batch=None):
                raise RunError('a fault of the second run')

        toy_runner(tmp_path, [], checkpoint=WHOLE).train()
        assert is_marked_finished(tmp_path, 4)
        with pytest.raises(RunError):
            toy_runner(tmp_path, [Failing()], checkpoint=WHOLE).train()
        assert not is_marked_finished(tmp_path, 4)
