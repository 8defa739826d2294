"""Curves of a training that is stopped and resumed, in one place and without a step twice."""

import copy
import os
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.runner import Runner
from mmengine.visualization import TensorboardVisBackend, Visualizer
from torch import nn

TENSORBOARD_FOLDER = 'tensorboard'


class ContinuedCurves(Runner):
    """A runner whose TensorBoard, Weights & Biases and MLflow curves go on where a resumed run does.

    mmengine begins with a folder for each start. Here, TensorBoard's events are in ``tensorboard`` of the work dir, and
    steps after the checkpoint that a run resumes from are not shown twice. Weights & Biases goes on with a run that was
    stopped. MLflow's server is that of ``MLFLOW_TRACKING_URI``, or else a file of the work dir. What the config says
    stays.

    Mix it into a runner's class.
    """

    def build_visualizer(self, visualizer: Visualizer | dict | None = None) -> Visualizer:
        """Build the visualizer. The config, also the one in the work dir, stays as it is."""
        if isinstance(visualizer, dict):
            visualizer = copy.deepcopy(visualizer)
            for backend in visualizer.get('vis_backends') or []:
                if isinstance(backend, dict):
                    self._place(backend)
        return super().build_visualizer(visualizer)

    def load_or_resume(self) -> None:
        """Load or resume a checkpoint, and begin to write after its step."""
        super().load_or_resume()
        for writer in self._tensorboards():
            # Events of a later step are those of a run that was lost, or of one before in the same work dir.
            _begin_at(writer, self.iter + 1 if self.iter else 0)

    def train(self) -> nn.Module:
        """Train. What a run that is stopped has written is on the disk."""
        try:
            return super().train()
        finally:
            for writer in self._tensorboards():
                writer.flush()

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

    def _tensorboards(self) -> list[Any]:
        if not is_main_process():
            return []
        backends = self.visualizer._vis_backends.values()
        return [backend.experiment for backend in backends if isinstance(backend, TensorboardVisBackend)]


def _begin_at(writer: Any, step: int) -> None:  # noqa: ANN401 - PyTorch's, which is imported where it is used
    """Make TensorBoard forget the events of a folder from a step on, as PyTorch's `purge_step` does."""
    from tensorboard.compat.proto import event_pb2

    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    writer.file_writer.add_event(event_pb2.Event(step=step, session_log=start))
