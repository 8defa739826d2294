"""Curves of a training that is stopped and resumed, in one place and without a step twice."""

import copy
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.visualization import LocalVisBackend, TensorboardVisBackend, Visualizer
from mmengine.visualization.vis_backend import BaseVisBackend
from torch import nn

from convnext_dense.errors import describe

TENSORBOARD_FOLDER = 'tensorboard'
# Of a backend: each may fail, as a disk is full or a server is away.
CALLS = ('add_config', 'add_graph', 'add_image', 'add_scalar', 'add_scalars', 'close')


class ContinuedCurves(Runner):
    """A runner whose TensorBoard, Weights & Biases and MLflow curves go on where a resumed run does.

    mmengine begins with a folder for each start. Here, TensorBoard's events are in ``tensorboard`` of the work dir, and
    steps after the checkpoint that a run resumes from are not shown twice. Weights & Biases goes on with a run that was
    stopped. MLflow's server is that of ``MLFLOW_TRACKING_URI``, or else a file of the work dir. What the config says
    stays. Any of them that fails is warned of once, and gets nothing more; the run goes on.

    Mix it into a runner's class.
    """

    def build_visualizer(self, visualizer: Visualizer | dict | None = None) -> Visualizer:
        """Build the visualizer. The config, also the one in the work dir, stays as it is."""
        if isinstance(visualizer, dict):
            visualizer = copy.deepcopy(visualizer)
            for backend in visualizer.get('vis_backends') or []:
                if isinstance(backend, dict):
                    self._place(backend)
        built = super().build_visualizer(visualizer)
        for backend in built._vis_backends.values():
            # What the local one writes is the run's result, which reports read.
            if not isinstance(backend, LocalVisBackend):
                for name in CALLS:
                    setattr(backend, name, partial(_attempt, backend, getattr(backend, name)))
        return built

    def load_or_resume(self) -> None:
        """Load or resume a checkpoint, and begin to write after its step."""
        super().load_or_resume()
        for backend in self._tensorboards():
            # Events of a later step are those of a run that was lost, or of one before in the same work dir.
            _attempt(backend, _begin_at, backend, self.iter + 1 if self.iter else 0)

    def train(self) -> nn.Module:
        """Train. What a run that is stopped has written is on the disk."""
        try:
            return super().train()
        finally:
            for backend in self._tensorboards():
                _attempt(backend, _flush, backend)

    def _place(self, backend: dict) -> None:
        kind = str(backend.get('type')).rpartition('.')[2]
        name = Path(self.work_dir).name
        if kind == 'TensorboardVisBackend':
            backend.setdefault('save_dir', str(Path(self.work_dir, TENSORBOARD_FOLDER)))
        elif kind == 'WandbVisBackend':
            backend.setdefault('save_dir', self.work_dir)
            # It counts what is logged, and mmengine gives it no step.
            backend.setdefault('define_metric_cfg', [dict(name='*', step_metric='iter')])
            own = backend.setdefault('init_kwargs', {})
            own.setdefault('name', name)
            if self.cfg.get('resume'):
                own.setdefault('resume', 'auto')
        elif kind == 'MLflowVisBackend':
            folder = Path(self.work_dir).absolute()
            backend.setdefault('run_name', name)
            backend.setdefault('exp_name', os.environ.get('MLFLOW_EXPERIMENT_NAME') or 'convnext_dense')
            if server := os.environ.get('MLFLOW_TRACKING_URI'):
                backend.setdefault('tracking_uri', server)
            elif not backend.get('tracking_uri'):
                # MLflow 3 no longer writes into folders of files, as mmengine asks it to.
                backend.update(tracking_uri=f'sqlite:///{folder}/mlflow.db')
                backend.setdefault('artifact_location', str(folder / 'mlflow'))

    def _tensorboards(self) -> list[TensorboardVisBackend]:
        if not is_main_process():
            return []
        backends = self.visualizer._vis_backends.values()
        return [backend for backend in backends if isinstance(backend, TensorboardVisBackend)]


def _begin_at(backend: TensorboardVisBackend, step: int) -> None:
    """Make TensorBoard forget the events of a folder from a step on, as PyTorch's `purge_step` does."""
    from tensorboard.compat.proto import event_pb2

    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    backend.experiment.file_writer.add_event(event_pb2.Event(step=step, session_log=start))


def _flush(backend: TensorboardVisBackend) -> None:
    backend.experiment.flush()


def _attempt(backend: BaseVisBackend, call: Callable[..., object], *args: object, **kwargs: object) -> None:
    """Call something of a backend. Its first failure is a warning, and later calls are left out."""
    if getattr(backend, 'has_failed', False):
        return
    try:
        call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
        backend.__dict__['has_failed'] = True
        words = f'{type(backend).__name__} failed, and gets no more curves: {describe(error)}'
        print_log(words, logger='current', level=logging.WARNING)
