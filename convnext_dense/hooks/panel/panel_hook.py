"""Shows a live panel of a training on a terminal."""

import logging
import os
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.live import Live
from rich.text import Text

from convnext_dense.errors import describe
from convnext_dense.hooks.panel.drawing import draw_panel
from convnext_dense.hooks.panel.figures import read_figures, read_scores
from convnext_dense.training.quiet_start import hide_steps, show_everything

# The time between two drawings, at least, and the largest share of a run's time that they take.
SECONDS, SHARE = 0.5, 0.01
# What pycocotools prints while it evaluates.
NOISE = (
    'Loading and preparing results...',
    'creating index...',
    'index created!',
    'Running per image evaluation...',
    'Evaluate annotation type ',
    'Accumulating evaluation results...',
    'DONE (t=',
)


class PanelHook(Hook):
    """Shows the steps, losses, rate, speed and scores of a training as a panel, which is drawn again in its place.

    What is printed meanwhile, such as warnings, stands above it. The lines that the log has of each interval go to its
    file alone. It is drawn between steps, from what the run has noted, and takes 1% of the time at most. It has no
    thread of its own: workers that are forked would inherit its lock. Where it fails, it is closed, the log says why,
    and the run goes on. `live_panel` adds it.

    Args:
        console: The terminal.
    """

    # After what the other hooks note, and before `StopHook`, which ends the run.
    priority = 'VERY_LOW'

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._streams: list[tuple[Any, Any]] = []
        self._stdout, self._stderr = sys.stdout, sys.stderr
        self._runner: Any = None
        self._images = 0
        self._step = 0
        self._seconds_left: float | None = None
        self._validation: tuple[int, int] | None = None
        self._due = 0.0

    def before_train_epoch(self, runner: Runner) -> None:
        """Show the panel, below the summary."""
        if self._runner is not None:
            return
        self._runner, self._step = runner, runner.iter
        with self._safely():
            loader = runner.train_dataloader
            self._images = (getattr(loader.batch_sampler, 'batch_size', loader.batch_size) or 1) * get_world_size()
            self._start()
            self._draw()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Show the step."""
        self._step, self._seconds_left = runner.iter + 1, runner.message_hub.runtime_info.get('eta')
        self._draw_if_due()

    def before_val_epoch(self, runner: Runner) -> None:
        """Show that the model is validated."""
        if self._live is not None:
            # Validations show what they log.
            hide_steps(runner.logger)
        self._validation = (0, len(runner.val_dataloader))
        self._draw()

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Show how far the validation is."""
        if self._validation:
            self._validation = (batch_idx + 1, self._validation[1])
            self._draw_if_due()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Show the scores, and leave a line of them above the panel."""
        self._validation = None
        if self._live is None:
            return
        with self._safely():
            scores = [f'{score.name} {score.values[-1]:.4g}' for score in read_scores(runner)]
            if scores:
                by_epoch = not hasattr(runner.train_loop, 'dataloader_iterator')
                place = f'epoch {runner.epoch}' if by_epoch else f'step {runner.iter}'
                # As a text, in which no name is read as a style.
                self.console.print(Text(f'{place}: {", ".join(scores)}'))
        self._draw()

    def end(self) -> str:
        """Return how a training without an error ended."""
        has_more = self._runner is not None and self._step < self._runner.max_iters
        return 'ended early' if has_more else 'finished'

    def close(self, state: str) -> None:
        """Draw the panel for the last time, and give the terminal back.

        Args:
            state: How the run ended.
        """
        self._seconds_left = None
        self._draw(state)
        self._give_back()

    def _start(self) -> None:
        self._stdout, self._stderr = sys.stdout, sys.stderr
        # Standard error that is a file, by `2> errors.txt`, stays one.
        shares_terminal = sys.stderr.isatty()
        self._live = Live(
            console=self.console, auto_refresh=False, vertical_overflow='crop', redirect_stderr=shares_terminal
        )
        self._live.start()
        # A run that is killed leaves it as it is.
        self.console.show_cursor(True)
        hide_steps(self._runner.logger)
        sys.stdout = _WithoutNoise(sys.stdout)
        for handler in self._runner.logger.handlers:
            if type(handler) is logging.StreamHandler:
                self._streams.append((handler, handler.setStream(sys.stdout)))

    def _give_back(self) -> None:
        """Give the terminal back, whatever became of the panel."""
        live, self._live = self._live, None
        if live is None:
            return
        try:
            # It draws once more.
            with suppress(Exception):
                live.stop()
        finally:
            sys.stdout, sys.stderr = self._stdout, self._stderr
            for handler, stream in self._streams:
                handler.setStream(stream)
            show_everything(self._runner.logger)

    @contextmanager
    def _safely(self) -> Generator[None]:
        """Close a panel that cannot be drawn. The run goes on, without it."""
        try:
            yield
        except OSError:
            # The terminal was closed; nobody would read a warning.
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
            self._give_back()
            self._runner.logger.warning(f'The panel is closed, as it could not be drawn: {describe(error)}')

    def _draw_if_due(self) -> None:
        if time.monotonic() >= self._due:
            self._draw()

    def _draw(self, state: str = '') -> None:
        if self._live is None:
            return
        start = time.monotonic()
        with self._safely():
            figures = read_figures(self._runner, self._step, self._images, self._seconds_left)
            self._live.update(draw_panel(figures, state, self._validation), refresh=True)
        end = time.monotonic()
        self._due = end + max(SECONDS, (end - start) / SHARE)


@contextmanager
def live_panel(runner: Runner) -> Generator[None]:
    """Show a panel of the training in the block, where standard output is a terminal that can have one.

    Of several processes, the first has it. Its last state stays, and says how the block ended: finished, ended early
    with steps to go, stopped by a signal, or failed.

    Args:
        runner: The runner, which trains in the block.

    Example:
        >>> with live_panel(runner):  # doctest: +SKIP
        ...     runner.train()
    """
    console = Console()
    if not can_show(console) or not is_main_process():
        yield
        return
    hook = PanelHook(console)
    runner.register_hook(hook)
    state = 'failed'
    try:
        yield
        state = hook.end()
    except KeyboardInterrupt:
        state = 'stopped'
        raise
    finally:
        hook.close(state)


def can_show(console: Console) -> bool:
    """Return whether a console is a terminal that can have a panel: one that moves its cursor, and has the characters.

    Args:
        console: The console. `TERM` says what it can, and in a job of continuous integration (`CI`) nobody looks at it.

    Example:
        >>> import io
        >>> can_show(Console(file=io.StringIO()))
        False
    """
    is_usable = console.is_terminal and not console.is_dumb_terminal and not console.options.ascii_only
    return is_usable and not os.environ.get('CI')


class _WithoutNoise:
    """A stream without the lines that pycocotools prints at each validation."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_noise = False

    def write(self, text: str) -> int:
        """Write a text, if it is no noise. `print` writes the end of the line apart."""
        if text == '\n' and self._is_noise:
            self._is_noise = False
            return 1
        self._is_noise = text.startswith(NOISE)
        return len(text) if self._is_noise else self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
