"""A training that a signal stops can go on."""

import multiprocessing
import os
import signal
import time

import pytest
import torch
from helpers.toy_runs import toy_runner
from mmengine.hooks import EMAHook, Hook

from convnext_dense.apis.launching.signals import stopped_by_signals
from convnext_dense.errors import RunStopped
from convnext_dense.hooks.health.stop_hook import StopHook
from convnext_dense.training import stop_request

WHOLE = dict(type='convnext_dense.WholeCheckpointHook', max_keep_ckpts=1)


class Sender(Hook):
    """Sends this process a signal, in a step of training or in a batch of validation."""

    def __init__(self, number, step=None, val_batch=None):
        self.number, self.step, self.val_batch = number, step, val_batch

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Send it in the step."""
        if runner.iter + 1 == self.step:
            os.kill(os.getpid(), self.number)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        """Send it in the validation."""
        if batch_idx == self.val_batch:
            os.kill(os.getpid(), self.number)


def train(folder, *hooks, resume=None, interval=1, save_optimizer=True, **options):
    """Train four steps, or two epochs of two, and return the sentence with which it stopped."""
    checkpoint = dict(WHOLE, interval=interval, save_optimizer=save_optimizer)
    runner = toy_runner(folder, [*hooks, StopHook()], checkpoint=checkpoint, load_from=resume, **options)
    with stopped_by_signals():
        try:
            runner.train()
        except RunStopped as stop:
            return str(stop)
    return ''


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


class TestTraining:
    @pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
    @pytest.mark.parametrize('by_epoch', [False, True])
    def test_is_saved_after_the_step_and_goes_on(self, number, by_epoch, tmp_path):
        sentence = train(tmp_path, Sender(number, step=3), by_epoch=by_epoch, interval=2 - by_epoch)
        stopped = tmp_path / 'stopped_iter_3.pth'
        assert sentence == f'{number.name} after step 3; resume goes on from {stopped}.'
        regular = 'epoch_1.pth' if by_epoch else 'iter_2.pth'
        assert names(tmp_path) == [regular, stopped.name]
        assert (tmp_path / 'last_checkpoint').read_text() == str(stopped)
        content = torch.load(stopped)
        assert (content['meta']['epoch'], content['meta']['iter']) == (int(by_epoch), 3)
        assert content['optimizer']['param_groups']

        assert not train(tmp_path, by_epoch=by_epoch, interval=2 - by_epoch, resume=str(stopped))
        assert names(tmp_path) == ['epoch_2.pth' if by_epoch else 'iter_4.pth']

    def test_is_not_saved_twice(self, tmp_path):
        assert 'saved before' in train(tmp_path, Sender(signal.SIGTERM, step=3))
        assert names(tmp_path) == ['iter_3.pth']

    def test_is_saved_with_its_optimizer_where_others_are_not(self, tmp_path):
        train(tmp_path, Sender(signal.SIGTERM, step=3), save_optimizer=False)
        assert torch.load(tmp_path / 'stopped_iter_3.pth')['optimizer']
        assert 'optimizer' not in torch.load(tmp_path / 'iter_3.pth')

    def test_a_signal_to_the_end_changes_nothing(self, tmp_path):
        class AtTheEnd(Hook):
            def after_train(self, runner):
                os.kill(os.getpid(), signal.SIGTERM)

        assert not train(tmp_path, AtTheEnd())
        assert names(tmp_path) == ['iter_4.pth']


class TestValidation:
    def test_is_stopped_and_saves_nothing_that_is_there(self, tmp_path):
        sentence = train(tmp_path, Sender(signal.SIGTERM, val_batch=0), with_validation=True)
        assert sentence == 'SIGTERM after step 1; resume goes on from there, which was saved before.'
        assert names(tmp_path) == ['iter_1.pth']

    def test_is_stopped_and_saves_what_is_not(self, tmp_path):
        assert 'stopped_iter_1.pth' in train(
            tmp_path, Sender(signal.SIGTERM, val_batch=0), with_validation=True, interval=3
        )

    def test_saves_weights_and_their_average_as_a_step_does(self, tmp_path):
        class Notes(Hook):
            priority = 'VERY_HIGH'

            def before_val_epoch(self, runner):
                (ema,) = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
                models = (runner.model, ema.ema_model.module)
                self.trained, self.average = (model.layer.weight[0, 0].item() for model in models)
                if runner.iter == 2:
                    os.kill(os.getpid(), signal.SIGTERM)

        notes, average = Notes(), dict(type='EMAHook', momentum=0.3)
        train(tmp_path, notes, average, with_validation=True, interval=3)
        saved = torch.load(tmp_path / 'stopped_iter_2.pth', weights_only=False)
        # mmengine saves the average as the weights, for those who test it.
        assert notes.trained != notes.average
        assert saved['state_dict']['layer.weight'][0, 0].item() == notes.average
        assert saved['ema_state_dict']['module.layer.weight'][0, 0].item() == notes.trained


class TestRequest:
    def test_before_the_first_step_ends_at_once(self):
        with stopped_by_signals(), pytest.raises(RunStopped, match='SIGUSR1 before the first step'):
            os.kill(os.getpid(), signal.SIGUSR1)

    def test_leaves_the_handlers_of_others(self):
        before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
        with stopped_by_signals():
            pass
        assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]

    @pytest.mark.parametrize(('pause', 'status'), [(0.0, 3), (0.3, -signal.SIGTERM)])
    def test_a_second_signal_ends_at_once_unless_it_is_the_same_request(self, pause, status, monkeypatch):
        monkeypatch.setattr(stop_request, 'SECONDS_OF_ONE_REQUEST', 0.2)

        def work():
            with stopped_by_signals():
                stop_request.REQUEST.begin()
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(pause)
                os.kill(os.getpid(), signal.SIGTERM)
                os._exit(3)

        process = multiprocessing.get_context('fork').Process(target=work)
        process.start()
        process.join(30)
        assert process.exitcode == status

    def test_is_over_when_it_is_answered(self):
        with stopped_by_signals():
            stop_request.REQUEST.begin()
            os.kill(os.getpid(), signal.SIGTERM)
            stop_request.REQUEST.answer()
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)
