"""Curves of a training that is resumed, or whose writer fails."""

import errno
import itertools
import logging
import sys
from types import ModuleType, SimpleNamespace
from unittest import mock

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import HOOKS
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer
from torch.utils.tensorboard import SummaryWriter

from convnext_dense.config import set_logs
from convnext_dense.training.curves import ContinuedCurves

# mmengine's visualizers are global by name.
numbers = itertools.count()


class Run(ContinuedCurves):
    """As much of a runner as its curves need."""

    iter = 0

    def __init__(self, work_dir, backend, resumed_step=0):
        self._work_dir = str(work_dir)
        self._log_dir = str(work_dir / 'log')
        self._experiment_name = f'{work_dir}-{next(numbers)}'
        self._has_loaded = True
        self.iter = resumed_step
        self.cfg = dict(resume=bool(resumed_step))
        self.visualizer = self.build_visualizer(dict(type='Visualizer', vis_backends=[dict(type=backend)]))
        self.load_or_resume()

    def log(self, steps):
        for step in steps:
            self.visualizer.add_scalars(dict(loss=0.5), step)


def shown(work_dir, name='loss'):
    """The steps of a curve that TensorBoard shows of a work dir."""
    events = EventAccumulator(str(work_dir / 'tensorboard'))
    events.Reload()
    return [event.step for event in events.Scalars(name)]


def train_epochs(work_dir, epochs, resumed_step=0):
    """Log the loss and the score of epochs of ten steps, as the hook of our configs does."""
    cfg = Config(dict(model={}))
    set_logs(cfg)
    hook = HOOKS.build(cfg.default_hooks.logger)
    run = Run(work_dir, 'TensorboardVisBackend', resumed_step)
    processor = SimpleNamespace(get_log_after_epoch=lambda *args: ({'coco/bbox_mAP': 0.5}, ''))
    for epoch in epochs:
        run.log([10 * epoch])
        place = dict(epoch=epoch, iter=10 * epoch, _train_loop=object(), val_dataloader=[])
        hook.after_val_epoch(
            SimpleNamespace(visualizer=run.visualizer, log_processor=processor, logger=mock.Mock(), **place)
        )
    run.visualizer.close()


class TestTensorBoard:
    @pytest.fixture(autouse=True)
    def _writers(self, monkeypatch):
        """Number writers with as many digits: TensorBoard sorts the files of a second, and 10 is before 9."""
        monkeypatch.setattr(event_file_writer, '_global_uid', event_file_writer.AtomicCounter(10))

    def run(self, work_dir, steps, resumed_step=0):
        run = Run(work_dir, 'TensorboardVisBackend', resumed_step)
        run.log(steps)
        run.visualizer.close()

    def test_shows_no_step_twice_after_a_resume(self, tmp_path):
        self.run(tmp_path, range(1, 7))
        self.run(tmp_path, range(5, 9), resumed_step=4)
        assert shown(tmp_path) == list(range(1, 9))

    def test_shows_no_score_twice_after_a_resume_by_epochs(self, tmp_path):
        train_epochs(tmp_path, range(1, 7))
        train_epochs(tmp_path, range(5, 8), resumed_step=40)
        assert shown(tmp_path) == shown(tmp_path, 'coco/bbox_mAP') == list(range(10, 71, 10))

    def test_forgets_an_earlier_run_of_the_work_dir(self, tmp_path):
        self.run(tmp_path, range(1, 7))
        self.run(tmp_path, range(1, 3))
        assert shown(tmp_path) == [1, 2]

    def test_has_all_that_a_stopped_run_has_written(self, tmp_path):
        run = Run(tmp_path, 'TensorboardVisBackend')
        with (
            mock.patch('mmengine.runner.Runner.train', side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            run.log([1])
            run.train()
        assert shown(tmp_path) == [1]


@pytest.fixture
def warnings():
    """What the current logger warns of."""
    records = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: records.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


class TestFailingWriter:
    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        """A run whose disk is full after its beginning."""
        run = Run(tmp_path, 'TensorboardVisBackend')

        def fail(*args, **kwargs):
            raise OSError(errno.ENOSPC, 'No space left on device')

        for name in ('add_scalar', 'add_image', 'add_text', 'flush', 'close'):
            monkeypatch.setattr(SummaryWriter, name, fail)
        return run

    def test_is_warned_of_once_and_left_out(self, run, warnings):
        run.log([1, 2])
        run.visualizer.add_image('validation', None, 2)
        run.visualizer.close()
        reason = 'OSError: [Errno 28] No space left on device'
        assert warnings == [f'TensorboardVisBackend failed, and gets no more curves: {reason}']

    @pytest.mark.parametrize('name', ['add_scalar', 'add_image', 'add_config', 'close'])
    def test_ends_no_run_in_any_call(self, run, warnings, name):
        arguments = dict(add_scalar=('loss', 0.5), add_image=('sheet', None), add_config=(mock.Mock(),), close=())
        getattr(run.visualizer, name)(*arguments[name])
        assert len(warnings) == 1

    def test_hides_no_error_of_the_run(self, run):
        error = RuntimeError('the true reason')
        with mock.patch('mmengine.runner.Runner.train', side_effect=error), pytest.raises(RuntimeError, match='true'):
            run.train()

    def test_leaves_a_finished_run_finished(self, run, warnings):
        with mock.patch('mmengine.runner.Runner.train', return_value='the model'):
            assert run.train() == 'the model'
        assert len(warnings) == 1

    def test_lets_a_run_begin(self, tmp_path, warnings):
        (tmp_path / 'tensorboard').write_text('no folder')
        Run(tmp_path, 'TensorboardVisBackend').log([1])
        assert len(warnings) == 1


def fake(name, **attributes):
    """A module that notes its calls."""
    module = ModuleType(name)
    vars(module).update(attributes)
    return mock.patch.dict(sys.modules, {name: module})


class TestWandb:
    @pytest.mark.parametrize(('step', 'resume'), [(0, {}), (4, dict(resume='auto'))])
    def test_goes_on_with_a_run_that_was_stopped(self, tmp_path, step, resume):
        calls = mock.Mock()
        with fake('wandb', init=calls.init, define_metric=calls.define_metric, log=calls.log):
            Run(tmp_path, 'WandbVisBackend', step).log([1])
        calls.init.assert_called_once_with(name=tmp_path.name, dir=str(tmp_path), **resume)
        calls.define_metric.assert_called_once_with(name='*', step_metric='iter')
        calls.log.assert_called_once()


class TestMLflow:
    @pytest.mark.parametrize('server', [None, 'http://127.0.0.1:9'])
    def test_writes_to_the_server_or_into_the_work_dir(self, tmp_path, monkeypatch, server):
        monkeypatch.delenv('MLFLOW_TRACKING_URI', raising=False)
        if server:
            monkeypatch.setenv('MLFLOW_TRACKING_URI', server)
        names = 'set_tracking_uri', 'get_experiment_by_name', 'create_experiment', 'set_experiment', 'set_tag'
        calls = SimpleNamespace(**{name: mock.Mock(return_value=None) for name in (*names, 'log_metrics')})
        with fake('mlflow', **vars(calls)):
            Run(tmp_path, 'MLflowVisBackend').log([1])
        calls.set_tracking_uri.assert_called_once_with(server or f'sqlite:///{tmp_path}/mlflow.db')
        calls.set_tag.assert_called_once_with('mlflow.runName', tmp_path.name)
        calls.log_metrics.assert_called_once_with(dict(loss=0.5), 1)
