"""Records what a training run costs and what it scores."""

import json
import statistics
import time
from pathlib import Path

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from convnext_dense.hooks.health.divergence_hook import DivergenceHook
from convnext_dense.registry import HOOKS
from convnext_dense.training.memory.peak import peak_memory

TRAINING_COST_FILE = 'training_cost.json'
# The first iterations allocate memory and choose kernels, so their rates do not count.
WARM_UP_ITERATIONS = 5


def read_training_cost(folder: str | Path) -> dict | None:
    """Return what a run cost and scored, as its `TrainingCostHook` recorded it; None if the run is not finished.

    Args:
        folder: The run's work directory.

    Example:
        >>> read_training_cost('no/such/folder') is None
        True
    """
    file = Path(folder, TRAINING_COST_FILE)
    return json.loads(file.read_text()) if file.is_file() else None


@HOOKS.register_module()
class TrainingCostHook(Hook):
    """Writes ``training_cost.json`` into the work directory at the end of training; `read_training_cost` reads it.

    The keys of the file:

    - ``metrics``: the metrics of the last validation.
    - ``seconds``: the time of training, without validation and without saving checkpoints.
    - ``images_per_second``: the median over the iterations, summed over all processes.
    - ``peak_memory``: the main process's, in bytes: on a GPU what PyTorch allocated, else the resident memory.
    - ``iterations``, ``device``, ``processes``.
    - ``skipped_steps``: how many steps `DivergenceHook` left out.

    A resumed run includes what was measured before its checkpoint.

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
        """Continue from what the resumed run had measured."""
        measured = checkpoint.get('training_cost')
        if measured and runner._resume:
            self.seconds, self.rates, self.peak = measured['seconds'], list(measured['rates']), measured['peak']

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save what was measured so far."""
        checkpoint['training_cost'] = dict(seconds=self.seconds, rates=self.rates[-1000:], peak=self._peak_memory())
        # The time that saving takes does not count.
        self._last = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None) -> None:
        """Start the clock, if it is stopped."""
        if self._last is None:
            self._last = time.perf_counter()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Count the time since the last iteration ended, which includes the wait for the data."""
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
        """Stop the clock: the data loader restarts."""
        self._last = None

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the metrics of the latest validation."""
        self.metrics = dict(metrics or {})

    def after_train(self, runner: Runner) -> None:
        """Write the file."""
        rates = self.rates[WARM_UP_ITERATIONS:] or self.rates
        on_gpu = torch.cuda.is_available()
        content = dict(
            metrics={name: float(value) for name, value in self.metrics.items()},
            seconds=round(self.seconds, 2),
            images_per_second=round(statistics.median(rates), 3) if rates else None,
            peak_memory=self._peak_memory(),
            iterations=runner.iter,
            device=torch.cuda.get_device_name() if on_gpu else 'cpu',
            processes=get_world_size(),
            skipped_steps=sum(hook.skipped for hook in runner.hooks if isinstance(hook, DivergenceHook)),
        )
        if is_main_process():
            Path(runner.work_dir, TRAINING_COST_FILE).write_text(json.dumps(content, indent=2) + '\n')

    def _peak_memory(self) -> int:
        return max(self.peak, peak_memory())
