"""Keeps the terminal for what a run does. What a run prints while it is built goes to its log file alone."""

import logging
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any

from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader

from convnext_dense.datasets.cache.built_datasets import remembered_datasets
from convnext_dense.datasets.unreadable import note_with_batches
from convnext_dense.training.loading.orphaned_workers import end_with_reader
from convnext_dense.wording import counted

# Attributes of a log record: it is shown before the first step, or never on the terminal.
SHOWN_AT_START = {'shown_at_start': True}
FILE_ONLY = {'file_only': True}
# mmengine's own words that a user wants to see, and warnings of its that nobody can act on.
SHOWN = (
    'resumed epoch',
    # Of EarlyStoppingHook.
    'the monitored metric did not improve',
    'Monitored metric ',
    'Stopping threshold reached',
)
NOISE = (
    'Failed to search registry with scope',
    'The prefix is not set in metric class',
    'init_weights of ',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
)


class TerminalFilter(logging.Filter):
    """Keeps off the terminal what is logged before the first step, except warnings, and records `SHOWN_AT_START`.

    Example:
        >>> record = logging.makeLogRecord(dict(levelno=logging.INFO))
        >>> terminal = TerminalFilter()
        >>> terminal.filter(record)
        False
        >>> terminal.has_started = True
        >>> terminal.filter(record)
        True
    """

    has_started = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is shown."""
        if getattr(record, 'file_only', False):
            return False
        if self.has_started or getattr(record, 'shown_at_start', False):
            return True
        message = str(record.msg)
        return message.startswith(SHOWN) or (record.levelno >= logging.WARNING and not message.startswith(NOISE))


def show_everything(logger: logging.Logger) -> None:
    """Show on the terminal what is logged from now on.

    Args:
        logger: A runner's.

    Example:
        >>> show_everything(logging.getLogger())
    """
    _set_started(logger, True)


def hide_steps(logger: logging.Logger) -> None:
    """Keep what is logged from now on off the terminal, as before the first step.

    Args:
        logger: A runner's.

    Example:
        >>> hide_steps(logging.getLogger())
    """
    _set_started(logger, False)


def _set_started(logger: logging.Logger, has_started: bool) -> None:
    for handler in logger.handlers:
        for terminal in handler.filters:
            if isinstance(terminal, TerminalFilter):
                terminal.has_started = has_started


class QuietStart(Runner):
    """A runner that builds its parts quietly, and large datasets from what an earlier run has read.

    It counts accumulated steps where it scales the learning rate.

    Mix it into a runner's class. `RunSummaryHook` shows what was built, and ends the quiet.

    Example:
        >>> class QuietRunner(QuietStart, Runner):
        ...     pass
    """

    def build_logger(self, log_level: int | str = 'INFO', log_file: str | None = None, **kwargs: object) -> MMLogger:
        """Build the logger, with a filter for the terminal."""
        logger = super().build_logger(log_level, log_file, **kwargs)
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:
                handler.addFilter(TerminalFilter())
        return logger

    def dump_config(self) -> None:
        """Leave it to `build_runner`, whose config is one for any machine."""

    # A loop builds its dataset and its evaluator, and pycocotools prints as it reads their annotations.
    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the loop, and log what is printed."""
        with _log_prints(self.logger):
            return super().build_train_loop(loop)

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the loop, and log what is printed."""
        with _log_prints(self.logger):
            return super().build_val_loop(loop)

    def build_test_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the loop, and log what is printed."""
        with _log_prints(self.logger):
            return super().build_test_loop(loop)

    @classmethod
    def build_dataloader(cls, *args: Any, **kwargs: Any) -> DataLoader:  # noqa: ANN401 - mmengine's
        """Build a dataloader, and its dataset from the cache if it is there. Its workers end with this process."""
        with remembered_datasets():
            loader = super().build_dataloader(*args, **kwargs)
        end_with_reader(loader)
        note_with_batches(loader)
        return loader

    def scale_lr(self, optim_wrapper: OptimWrapper | OptimWrapperDict, auto_scale_lr: dict | None = None) -> None:
        """Scale the learning rate with the batch size, and with the steps whose gradients are accumulated."""
        super().scale_lr(optim_wrapper, auto_scale_lr)
        if not (auto_scale_lr or {}).get('enable'):
            return
        loader = self._train_dataloader
        images = loader.batch_size if isinstance(loader, DataLoader) else loader['batch_size']
        base = auto_scale_lr['base_batch_size']
        wrappers = optim_wrapper.values() if isinstance(optim_wrapper, OptimWrapperDict) else [optim_wrapper]
        for wrapper in wrappers:
            count = wrapper._accumulative_counts
            for group in wrapper.optimizer.param_groups:
                group['lr'] *= count
            total = images * self.world_size * count
            factors = f'{counted(images or 0, "image")} x {self.world_size} (processes) x {count} (accumulated steps)'
            self.logger.info(
                f'auto_scale_lr: {factors} = {counted(total, "image")} an update; the lr is for {base}, and is '
                'multiplied by '
                f'{total / base:g}.',
                extra=SHOWN_AT_START,
            )


@contextmanager
def _log_prints(logger: logging.Logger) -> Generator[None]:
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        for line in printed.getvalue().splitlines():
            logger.info(line)
