"""Draws a panel."""

import re

import numpy as np
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from convnext_dense.hooks.panel.figures import WINDOW, Figures
from convnext_dense.hooks.panel.sparkline import Sparkline
from convnext_dense.hooks.run_time_hook import duration_of

GIB = 2**30
STATE_COLORS = dict(finished='green', failed='red')


def draw_panel(figures: Figures, state: str = '', validation: tuple[int, int] | None = None) -> RenderableType:
    """Return the panel.

    Args:
        figures: What it shows.
        state: A word on the run, such as 'finished'.
        validation: How many batches of a validation are done, and how many there are.

    Example:
        >>> from rich.console import Console
        >>> figures = Figures('mask-rcnn', 'work_dirs/mask-rcnn', 'epoch 1 of 2', 5, 20, losses=dict(loss=np.ones(5)))
        >>> Console(width=60, color_system=None).print(draw_panel(figures))
        ╭─ mask-rcnn ──────────────────────────────────────────────╮
        │ epoch 1 of 2   5 of 20 steps   ━━━━━━                    │
        │ loss           1               ▄▄▄▄▄                     │
        ╰─ work_dirs/mask-rcnn ────────────────────────────────────╯
        <BLANKLINE>
    """
    title = Text(figures.title, style='bold')
    if state:
        title.append(f' {state}', style=f'bold {STATE_COLORS.get(state, "yellow")}')
    body = Table.grid(padding=(0, 3, 0, 0), expand=True)
    for ratio in (None, None, 1):
        body.add_column(no_wrap=True, overflow='ellipsis', ratio=ratio)
    _add_progress(body, figures, validation)
    # Names are texts: brackets in a plain string are a style.
    for name, values in figures.losses.items():
        style = 'cyan' if name == 'loss' else 'bright_black'
        body.add_row(Text(short_name(name)), _number(values[-WINDOW:]), Sparkline(values, style))
    if figures.hidden:
        body.add_row('', '', Text(f'and {figures.hidden} more parts of the loss', style='bright_black'))
    if len(figures.rates):
        body.add_row('learning rate', f'{figures.rates[-1]:.3g}', Sparkline(figures.rates, 'magenta'))
    for score in figures.scores:
        curve = Table.grid(padding=(0, 2, 0, 0))
        curve.add_row(Sparkline(score.values, 'green'), Text(f'best {score.best:.4g}', style='green'))
        body.add_row(Text(score.name), f'{score.values[-1]:.4g}', curve)
    if speed := _speed(figures):
        body.add_row(*speed)
    place = Text(figures.place, style='bright_black')
    panel = Panel(body, title=title, title_align='left', subtitle=place, subtitle_align='left', border_style='blue')
    # With a line below, where whatever else is printed begins, even after the process was killed.
    return Group(panel, '')


def short_name(name: str) -> str:
    """Return the name of a part of the loss.

    Args:
        name: mmdet's or mmseg's.

    Example:
        >>> short_name('loss_rpn_cls'), short_name('decode.loss_ce'), short_name('loss')
        ('  rpn_cls', '  decode.ce', 'loss')
    """
    return name if name == 'loss' else '  ' + re.sub(r'loss_', '', name)


def _add_progress(body: Table, figures: Figures, validation: tuple[int, int] | None) -> None:
    bar = Table.grid(padding=(0, 2, 0, 0), expand=True)
    bar.add_column(ratio=1)
    if validation:
        bar.add_row(_bar(*validation, 'green'), 'validation')
        body.add_row(figures.epoch, f'{validation[0]} of {validation[1]} batches', bar)
        return
    done: list[RenderableType] = [_bar(figures.step, figures.steps, 'blue')]
    if figures.seconds_left is not None and figures.step < figures.steps:
        done.append(f'{duration_of(figures.seconds_left)} left')
    bar.add_row(*done)
    body.add_row(figures.epoch, f'{figures.step} of {figures.steps} steps', bar)


def _bar(done: int, total: int, style: str) -> ProgressBar:
    return ProgressBar(max(total, 1), done, complete_style=style, finished_style=style)


def _speed(figures: Figures) -> tuple[str, str, str] | None:
    if figures.images_a_second is None:
        return None
    of_all = f' of {figures.memory_in_all / GIB:.0f}' if figures.memory_in_all else ''
    memory = f'{figures.memory / GIB:.1f}{of_all} GiB'
    return 'speed', f'{figures.images_a_second:.3g} images/s', f'data wait {figures.waiting:.0%}, peak memory {memory}'


def _number(values: np.ndarray) -> str:
    return f'{np.mean(values):.4g}'
