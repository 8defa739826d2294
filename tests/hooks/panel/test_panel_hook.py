"""A training on a terminal."""

import io
import logging
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

import numpy as np
import pytest
from helpers.toy_runs import toy_runner
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook, LoggerHook
from mmengine.logging import MMLogger
from rich.console import Console

from convnext_dense.hooks import EarlyStoppingHook, RunSummaryHook
from convnext_dense.hooks.panel import panel_hook
from convnext_dense.hooks.panel.drawing import draw_panel
from convnext_dense.hooks.panel.figures import Figures, Score, shown_losses
from convnext_dense.hooks.panel.panel_hook import can_show, live_panel


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    encoding = 'utf-8'

    def isatty(self):
        return True


class Rising(BaseMetric):
    """A score that rises."""

    default_prefix = 'toy'
    score = 0.25

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        self.score += 0.125
        return dict(mAP=self.score)


class Constant(Rising):
    """A score that stays, or is what it is made with."""

    def __init__(self, score=0.25):
        super().__init__()
        self.score = score

    def compute_metrics(self, results):
        return dict(mAP=self.score)


class Bracketed(Rising):
    """Scores whose names look like rich's styles."""

    def compute_metrics(self, results):
        return {'mIoU[red]': 0.25, '[b]_accuracy': 0.5}


class Talking(Hook):
    """Logs and prints in the second step."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 1:
            runner.logger.warning('this is odd')
            print('a word of the model')
            print('an error of the model', file=sys.stderr)
            print('Running per image evaluation...')
            print('DONE (t=0.01s).')


class Failing(Hook):
    """Fails in the third step."""

    def __init__(self, error=ZeroDivisionError):
        self.error = error

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 2:
            raise self.error


class FailingAtTheEnd(Hook):
    """Fails after all other hooks, as one does that saves to a full disk."""

    priority = 'LOWEST'

    def after_train(self, runner):
        raise OSError


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns."""
    stream = Terminal()
    # It is drawn after each step.
    monkeypatch.setattr(panel_hook, 'SECONDS', 0)
    monkeypatch.setattr(panel_hook, 'SHARE', float('inf'))
    monkeypatch.setattr(panel_hook, 'Console', lambda: Console(file=stream, width=80, height=40, color_system=None))
    for name, value in dict(TERM='xterm', CI='').items():
        monkeypatch.setenv(name, value)
    return stream


def train(stream, tmp_path, hooks=(), **options):
    """Train with a line of the log for each step, and a stream as standard output."""
    with redirect_stdout(stream):
        runner = toy_runner(tmp_path, [RunSummaryHook(), *hooks], **options)
        next(hook for hook in runner.hooks if isinstance(hook, LoggerHook)).interval = 1
        try:
            with live_panel(runner):
                runner.train()
        finally:
            assert sys.stdout is stream


def panels(terminal) -> list[str]:
    """What was drawn, without what moves the cursor."""
    return terminal.getvalue().split('╭─')[1:]


def said(terminal) -> str:
    """What was shown, without the ends of lines: a terminal wraps sentences."""
    return ' '.join(terminal.getvalue().split())


class TestLivePanel:
    def test_shows_steps_losses_speed_and_scores(self, tmp_path, terminal):
        train(terminal, tmp_path, by_epoch=True, with_validation=True, metrics=[Rising()])
        last = panels(terminal)[-1]
        for word in (
            'finished',
            'epoch 2 of 2',
            '4 of 4 steps',
            'loss',
            '  cls',
            '  bbox',
            'learning rate',
            'images/s',
        ):
            assert word in last
        assert 'best 0.5' in last
        assert 'epoch 1: mAP 0.375' in terminal.getvalue()
        assert any('1 of 2 batches' in panel for panel in panels(terminal))

    def test_keeps_the_lines_of_steps_for_the_log_file(self, tmp_path, terminal):
        train(terminal, tmp_path, with_validation=True, metrics=[Rising()])
        assert '(train)' not in terminal.getvalue()
        assert '(val)' not in terminal.getvalue()
        (log,) = tmp_path.rglob('*.log')
        assert log.read_text().count('Epoch(train)') == 4

    def test_leaves_what_is_printed_above_in_whole_lines(self, tmp_path, terminal):
        train(terminal, tmp_path, [Talking()])
        lines = [line.strip() for line in terminal.getvalue().splitlines()]
        assert any(line.endswith('a word of the model') for line in lines)
        assert any(line.endswith('this is odd') for line in lines)
        assert 'Running per image' not in terminal.getvalue()
        assert 'DONE' not in terminal.getvalue()

    @pytest.mark.parametrize('stderr', [io.StringIO, Terminal])
    def test_leaves_errors_to_the_file_that_they_go_to(self, tmp_path, terminal, stderr):
        with redirect_stderr(stderr()) as errors:
            train(terminal, tmp_path, [Talking()])
        is_file = stderr is io.StringIO
        assert ('an error of the model\n' in errors.getvalue()) is is_file
        # Those of a terminal stand above the panel.
        assert ('an error of the model' in terminal.getvalue()) is not is_file

    @pytest.mark.parametrize(('error', 'state'), [(ZeroDivisionError, 'failed'), (KeyboardInterrupt, 'stopped')])
    def test_an_error_leaves_its_last_state_and_a_terminal_as_before(self, tmp_path, terminal, error, state):
        with pytest.raises(error):
            train(terminal, tmp_path, [Failing(error)])
        assert state in panels(terminal)[-1]
        assert '2 of 4 steps' in panels(terminal)[-1]
        # The cursor is shown, in a line of its own.
        assert terminal.getvalue().endswith('╯\n\n\x1b[?25h')

    def test_calls_a_late_error_no_success(self, tmp_path, terminal):
        with pytest.raises(OSError):
            train(terminal, tmp_path, [FailingAtTheEnd()])
        assert 'failed' in panels(terminal)[-1]
        assert 'finished' not in terminal.getvalue()

    @pytest.mark.parametrize(
        ('score', 'options', 'reason', 'step'),
        [
            (0.25, {}, 'the monitored metric did not improve in the last 1 records', 2),
            (float('inf'), {}, 'Monitored metric toy/mAP = inf is infinite', 1),
            (0.25, dict(stopping_threshold=0.125), 'Stopping threshold reached', 1),
        ],
    )
    def test_says_why_a_training_ended_early(self, tmp_path, terminal, score, options, reason, step):
        hook = EarlyStoppingHook('toy/mAP', rule='greater', patience=1, **options)
        train(terminal, tmp_path, [hook], with_validation=True, metrics=[Constant(score)])
        assert reason in said(terminal)
        last = panels(terminal)[-1]
        assert 'ended early' in last.splitlines()[0]
        assert f'{step} of 4 steps' in last
        assert any(' left ' in panel for panel in panels(terminal)) and ' left ' not in last

    @pytest.mark.parametrize('by_epoch', [False, True])
    def test_says_why_a_resumed_training_has_nothing_to_do(self, tmp_path, terminal, by_epoch):
        hook = EarlyStoppingHook('toy/mAP', rule='greater', patience=1)
        hook.load_state_dict(dict(wait_count=1, best_score=0.25))
        train(terminal, tmp_path, [hook], by_epoch=by_epoch, with_validation=True, metrics=[Constant()])
        assert 'The run was ended early, after 1 validation ' in said(terminal)

    def test_an_early_end_with_no_steps_to_go_is_finished(self, tmp_path, terminal):
        hook = EarlyStoppingHook('toy/mAP', rule='greater', patience=3)
        train(terminal, tmp_path, [hook], with_validation=True, metrics=[Constant()])
        assert 'did not improve in the last 3 records' in said(terminal)
        assert 'ended early' not in terminal.getvalue()

    def test_is_not_shown_where_output_is_no_terminal(self, tmp_path):
        stream = io.StringIO()
        train(stream, tmp_path)
        assert '╭' not in stream.getvalue()
        assert stream.getvalue().count('Epoch(train)') == 4


class TestAPanelThatFails:
    @pytest.mark.parametrize('name', ['read_figures', 'draw_panel', 'read_scores', 'get_world_size'])
    def test_is_closed_with_one_warning_while_the_run_goes_on(self, tmp_path, terminal, monkeypatch, name):
        monkeypatch.setattr(panel_hook, name, mock.Mock(side_effect=ValueError('no such figure')))
        train(terminal, tmp_path, [Talking()], with_validation=True, metrics=[Rising()])
        assert (tmp_path / 'iter_4.pth').exists()
        reason = 'could not be drawn: ValueError: no such figure'
        assert said(terminal).count(reason) == 1
        (log,) = tmp_path.rglob('*.log')
        assert log.read_text().count(reason) == 1
        # What a run without a panel shows.
        assert 'Epoch(train)' in terminal.getvalue()

    def test_at_its_end_replaces_no_error_and_gives_the_streams_back(self, tmp_path, terminal, monkeypatch):
        monkeypatch.setattr(panel_hook.Live, 'stop', mock.Mock(side_effect=ValueError))
        before = sys.stderr
        with pytest.raises(ZeroDivisionError):
            train(terminal, tmp_path, [Failing()])
        assert sys.stderr is before
        handlers = MMLogger.get_current_instance().handlers
        (shown,) = [handler for handler in handlers if type(handler) is logging.StreamHandler]
        assert shown.stream is terminal
        assert shown.filters[-1].has_started

    def test_goes_on_where_its_terminal_was_closed(self, tmp_path, terminal, monkeypatch):
        monkeypatch.setattr(panel_hook.Live, 'update', mock.Mock(side_effect=OSError))
        train(terminal, tmp_path)
        assert (tmp_path / 'iter_4.pth').exists()

    def test_names_in_brackets_are_shown_as_they_are(self, tmp_path, terminal):
        train(terminal, tmp_path, with_validation=True, metrics=[Bracketed()])
        assert 'step 1: mIoU[red] 0.25, [b]_accuracy 0.5' in terminal.getvalue()
        assert 'mIoU[red]' in panels(terminal)[-1] and '[b]_accuracy' in panels(terminal)[-1]

    def test_brackets_that_close_nothing_are_shown_too(self, terminal):
        scores = [Score('[/b]_accuracy', np.ones(1), 1.0)]
        figures = Figures('[/t]', '[/p]', 'epoch 1 of 2', 1, 2, losses={'loss[/b]': np.ones(1)}, scores=scores)
        Console(file=terminal, width=80).print(draw_panel(figures))
        for name in ('[/t]', '[/p]', 'loss[/b]', '[/b]_accuracy'):
            assert name in terminal.getvalue()


class TestCanShow:
    @pytest.mark.parametrize(
        ('name', 'value', 'expected'), [('TERM', 'xterm', True), ('TERM', 'dumb', False), ('CI', 'true', False)]
    )
    def test_is_what_the_terminal_can(self, terminal, monkeypatch, name, value, expected):
        monkeypatch.setenv(name, value)
        assert can_show(Console(file=terminal)) is expected


class TestShownLosses:
    def test_of_many_parts_are_those_of_the_last_layer(self):
        parts = [f'{layer}loss_{name}' for layer in ('', *(f'd{i}.' for i in range(5))) for name in ('cls', 'bbox')]
        assert shown_losses(['loss', *parts]) == (['loss', 'loss_cls', 'loss_bbox'], 10)
        decoder = [f'decode.{part}' for part in parts]
        assert shown_losses(decoder) == (['decode.loss_cls', 'decode.loss_bbox'], 10)
