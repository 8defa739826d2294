"""A training run that advances one step per call, so that several runs can take turns."""

import copy
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from convnext_dense.config.backbone.swap import without_weights
from convnext_dense.config.device import fit_to_device

# mmengine adds these hooks to a config without them. They write files and print, which is not part of a step.
SILENT_HOOKS = dict(checkpoint=None, logger=None)
# Process-wide settings that a config or a hook may change. Each run has its own during its turn.
CUDNN_FLAGS = ('benchmark', 'benchmark_limit', 'deterministic')


class _SteppedRunner(Runner):
    """mmengine's runner, whose training loop does not start by itself."""

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        built: Any = super().build_train_loop(loop)
        built.run = lambda: None
        return built


class SteppedRun:
    """A config's model, losses, optimizer and hooks, set up by mmengine's runner and advanced step by step.

    It writes nothing except the runner's log, does not validate, and neither reads nor downloads weights: the model's
    are random.

    Args:
        cfg: The config, which is not changed. Without a GPU, the run fits it to the CPU.
        work_dir: A folder for the runner's log.
        name: A name that no other run of the process has.
        seed: Seed of all random numbers, set before the model is built.

    Attributes:
        runner: The runner.

    Example:
        >>> run = SteppedRun(load_config('configs/demo/...py'), 'work_dirs/x', 'ours')  # doctest: +SKIP
        >>> run.start(take_batches(run.loader, 4))  # doctest: +SKIP
        >>> run.step()  # doctest: +SKIP
    """

    def __init__(self, cfg: Config, work_dir: str, name: str, seed: int = 0) -> None:
        cfg = copy.deepcopy(cfg)
        for split in ('val', 'test'):
            cfg.update({f'{split}_dataloader': None, f'{split}_cfg': None, f'{split}_evaluator': None})
        cfg.update(visualizer=None, resume=False, log_level='ERROR', randomness=dict(seed=seed), launcher='none')
        cfg.default_hooks = {**(cfg.get('default_hooks') or {}), **SILENT_HOOKS}
        cfg.default_hooks.pop('visualization', None)
        cfg.work_dir = work_dir
        cfg.experiment_name = f'{name}_{id(cfg)}'
        cfg.model = without_weights(cfg.model)
        cfg.load_from = None
        fit_to_device(cfg)
        self.cfg = cfg
        self._flags = _cudnn_flags()
        with self._turn():
            self.runner = _SteppedRunner.from_cfg(cfg)
            self.runner.train()

    @property
    def model(self) -> nn.Module:
        """The detector or segmenter."""
        return self.runner.model

    @property
    def device(self) -> torch.device:
        """The model's device."""
        return next(self.model.parameters()).device

    @property
    def loader(self) -> DataLoader:
        """The config's dataloader."""
        return self.runner.train_loop.dataloader

    def start(self, batches: list[dict] | None = None) -> None:
        """Call the hooks that run before the first iteration.

        Args:
            batches: What to train on, over and over. Defaults to what the dataloader yields.
        """
        loop = self.runner.train_loop
        with self._turn():
            if batches is not None:
                pin = self.device.type == 'cuda' and bool(self.cfg.train_dataloader.get('pin_memory'))
                held: Any = batches
                pinned = DataLoader(held, batch_size=None, collate_fn=lambda batch: batch, pin_memory=pin)
                loop.dataloader_iterator = _repeat(list(pinned))
            elif isinstance(loop, EpochBasedTrainLoop):
                loop.dataloader_iterator = _repeat(loop.dataloader)
            self.runner.call_hook('before_train')
            self.runner.call_hook('before_train_epoch')
            self.model.train()

    def next_batch(self) -> dict:
        """Return the next batch. This may wait for the dataloader."""
        with self._turn():
            # Both kinds of loops have it since `start`, and hooks may have replaced it.
            return next(self.runner.train_loop.dataloader_iterator)

    def train_on(self, batch: dict) -> None:
        """Do an iteration of mmengine's loop, hooks included."""
        loop = self.runner.train_loop
        index = (loop.iter,) if isinstance(loop, EpochBasedTrainLoop) else ()
        with self._turn():
            loop.run_iter(*index, batch)

    def step(self) -> None:
        """Train on the next batch."""
        self.train_on(self.next_batch())

    @contextmanager
    def _turn(self) -> Generator[None]:
        """Give the process this run's cuDNN flags, and restore the others' afterwards."""
        others = _cudnn_flags()
        _set_cudnn_flags(self._flags)
        try:
            yield
        finally:
            self._flags = _cudnn_flags()
            _set_cudnn_flags(others)


def _cudnn_flags() -> dict:
    return {name: getattr(torch.backends.cudnn, name) for name in CUDNN_FLAGS}


def _set_cudnn_flags(flags: dict) -> None:
    for name, value in flags.items():
        setattr(torch.backends.cudnn, name, value)


def _repeat(batches: Iterable[dict]) -> Iterator[dict]:
    while True:
        yield from batches
