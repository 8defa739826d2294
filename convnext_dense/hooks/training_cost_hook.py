"""Records what a training run costs and scores."""

import json
import resource
import statistics
import sys
import time
from pathlib import Path

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from convnext_dense.registry import HOOKS

FILE = 'training_cost.json'
# The first iterations allocate memory and choose kernels.
WARM_UP = 5
# ru_maxrss is in bytes on macOS, and in KiB elsewhere.
RSS_UNIT = 1 if sys.platform == 'darwin' else 1024


@HOOKS.register_module()
class TrainingCostHook(Hook):
    """Writes ``training_cost.json`` into the work directory at the end of training.

    It holds the metrics of the last validation, the seconds of training without validation, the median of the images
    per second, over all processes, the peak memory in bytes of the main process (on a GPU what PyTorch allocated,
    else the process's resident memory), the number of iterations and the device. What was measured before a resumed
    checkpoint counts.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.TrainingCostHook')]
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self.seconds = 0.0
        self.rates: list[float] = []
        self.metrics: dict[str, float] = {}
        self.peak = 0
        self._last: float | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Go on from what the resumed run had measured."""
        measured = checkpoint.get('training_cost')
        if measured and runner._resume:
            self.seconds, self.rates, self.peak = measured['seconds'], list(measured['rates']), measured['peak']

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep what was measured so far."""
        checkpoint['training_cost'] = dict(seconds=self.seconds, rates=self.rates[-1000:], peak=self._peak_memory())
        # The time that saving takes is none of training's.
        self._last = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Start the clock, if it stood still for a validation or the start."""
        if self._last is None:
            self._last = time.perf_counter()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Count the time since the last iteration ended, in which the data was waited for too."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        self.seconds += elapsed
        self.rates.append(len(data_batch['inputs']) * get_world_size() / elapsed)

    def before_val(self, runner: Runner) -> None:
        """Stop the clock."""
        self._last = None

    def after_train_epoch(self, runner: Runner) -> None:
        """Stop the clock: the data loader starts anew."""
        self._last = None

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the metrics of the last validation."""
        self.metrics = dict(metrics or {})

    def after_train(self, runner: Runner) -> None:
        """Write the file."""
        if not self.metrics and runner.val_loop is not None:
            # A run that was stopped between its last checkpoint and its last validation has only this left to do.
            runner.val_loop.run()
        rates = self.rates[WARM_UP:] or self.rates
        on_gpu = torch.cuda.is_available()
        content = dict(
            metrics={name: float(value) for name, value in self.metrics.items()},
            seconds=round(self.seconds, 2),
            images_per_second=round(statistics.median(rates), 3) if rates else None,
            peak_memory=self._peak_memory(),
            iterations=runner.iter,
            device=torch.cuda.get_device_name() if on_gpu else 'cpu',
            processes=get_world_size(),
        )
        if is_main_process():
            Path(runner.work_dir, FILE).write_text(json.dumps(content, indent=2) + '\n')

    def _peak_memory(self) -> int:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
        return max(self.peak, torch.cuda.max_memory_allocated() if torch.cuda.is_available() else own)
