"""The report of a comparison of backbones: a table, a plot of score against cost, and a page that holds both."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import platform
import statistics
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

if TYPE_CHECKING:
    from mmengine.config import Config

    from convnext_dense.comparison.compare import Comparison, Run

# What mmdet's and mmseg's metrics call their main scores, what the report calls them, and what makes them 0 to 100.
SCORES = {
    'coco/bbox_mAP': ('box AP', 100),
    'coco/segm_mAP': ('mask AP', 100),
    'coco_panoptic/PQ': ('PQ', 1),
    'pascal_voc/mAP': ('mAP', 100),
    'mIoU': ('mIoU', 1),
}
PACKAGES = ('torch', 'torchvision', 'timm', 'mmengine', 'mmdet', 'mmsegmentation', 'convnext_dense')
MARKERS = 'osD^vP*Xph<>'
MISSING = '-'


def write_report(comparison: Comparison, folder: Path) -> None:
    """Write ``comparison.json``, ``.csv``, ``.png`` and ``.html`` of the runs that are done.

    Args:
        comparison: The comparison.
        folder: Where to.
    """
    rows = [_row(comparison, backbone) for backbone in comparison.complexity]
    scores = list(dict.fromkeys(name for row in rows for name in row['scores']))
    columns = _columns(scores, comparison)
    cells = [[_cell(row, column) for column in columns] for row in rows]
    with (folder / 'comparison.csv').open('w', newline='') as file:
        csv.writer(file).writerows([columns, *cells])
    facts = _facts(comparison)
    content = dict(config=comparison.config, command=comparison.command, facts=facts, rows=rows)
    (folder / 'comparison.json').write_text(json.dumps(content, indent=2) + '\n')
    plot = _plot(rows, scores, comparison.shape, folder / 'comparison.png')
    (folder / 'comparison.html').write_text(_page(comparison, columns, cells, plot, facts))


def text_table(folder: Path) -> str:
    """Return the table of a report as text.

    Args:
        folder: Where the report is.
    """
    with (folder / 'comparison.csv').open(newline='') as file:
        rows = list(csv.reader(file))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join(
        '  '.join(each.rjust(widths[i]) if i else each.ljust(widths[i]) for i, each in enumerate(row)) for row in rows
    )


def _row(comparison: Comparison, backbone: str) -> dict:
    costs = [run.cost for run in comparison.runs if run.backbone == backbone and run.cost]
    scores = {
        name: [cost['metrics'][key] * factor for cost in costs]
        for key, (name, factor) in SCORES.items()
        if costs and all(key in cost['metrics'] for cost in costs)
    }
    params, flops = comparison.complexity[backbone]
    return dict(
        backbone=backbone,
        scores=scores,
        params=params,
        flops=flops,
        images_per_second=[cost['images_per_second'] for cost in costs if cost['images_per_second']],
        peak_memory=[cost['peak_memory'] for cost in costs],
        seconds=[cost['seconds'] for cost in costs],
    )


def _columns(scores: list[str], comparison: Comparison) -> list[str]:
    height, width = comparison.shape
    return [
        'backbone',
        *scores,
        'params (M)',
        f'FLOPs at {height} x {width} (G)',
        'images/s in training',
        'peak memory (MB)',
        'training time (min)',
    ]


def _cell(row: dict, column: str) -> str:
    if column == 'backbone':
        return row['backbone']
    if column in row['scores']:
        return _spread(row['scores'][column])
    if column.startswith('params'):
        return f'{row["params"] / 1e6:.1f}'
    if column.startswith('FLOPs'):
        return f'{row["flops"] / 1e9:.2f}' if row['flops'] else MISSING
    if column.startswith('images/s'):
        return _median(row['images_per_second'], 1)
    if column.startswith('peak'):
        return f'{max(row["peak_memory"]) / 2**20:.0f}' if row['peak_memory'] else MISSING
    if column.startswith('training'):
        return _median(row['seconds'], 60)
    return MISSING


def _spread(values: list[float]) -> str:
    """The mean of the seeds, with their standard deviation where there are several."""
    mean = f'{statistics.mean(values):.1f}'
    return f'{mean} ± {statistics.stdev(values):.1f}' if len(values) > 1 else mean


def _median(values: list[float], unit: float) -> str:
    return f'{statistics.median(values) / unit:.1f}' if values else MISSING


def _facts(comparison: Comparison) -> dict[str, str]:
    """What was held fixed, read from the runs' configs, and what differs between them."""
    cfg = comparison.runs[0].cfg
    loader, wrapper = cfg.train_dataloader, cfg.optim_wrapper
    optimizer = ', '.join(f'{key}={value}' for key, value in wrapper.optimizer.items())
    done = [run.cost for run in comparison.runs if run.cost]
    length = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.get('max_iters')
    facts = {
        'Config': comparison.config,
        'Schedule': f'{length} {"epochs" if "max_epochs" in cfg.train_cfg else "iterations"}; '
        + '; '.join(_scheduler(each) for each in cfg.param_scheduler),
        'Batch size per process': str(loader.batch_size),
        'Optimizer': f'{wrapper.type}: {optimizer}',
        'Learning-rate decay': _by_backbone(comparison.runs, _decay),
        'Data': _dataset(cfg),
        'Weights at the start': _by_backbone(comparison.runs, _weights),
        'Seeds': ', '.join(map(str, dict.fromkeys(run.seed for run in comparison.runs))),
        'Device': ', '.join(dict.fromkeys(f'{cost["processes"]} x {cost["device"]}' for cost in done)) or MISSING,
        'Versions': f'Python {platform.python_version()}, ' + ', '.join(f'{name} {version(name)}' for name in PACKAGES),
    }
    facts['All else in the configs'] = 'identical, but for ' + (
        ', '.join(_different_keys(comparison.runs)) or 'nothing'
    )
    return facts


def _scheduler(cfg: dict) -> str:
    return f'{cfg["type"]}({", ".join(f"{key}={value}" for key, value in cfg.items() if key != "type")})'


def _dataset(cfg: dict) -> str:
    dataset = cfg.train_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    return f'{dataset.get("type")} in {dataset.get("data_root")}'


def _by_backbone(runs: list[Run], describe: Callable[[Config], str]) -> str:
    """What is said of each backbone's config, once where it is the same of all."""
    said = {run.backbone: describe(run.cfg) for run in runs}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return '; '.join(f'{backbone}: {each}' for backbone, each in said.items())


def _weights(cfg: Config) -> str:
    return (cfg.model.backbone.get('init_cfg') or {}).get('checkpoint', 'none, from scratch')


def _decay(cfg: Config) -> str:
    paramwise = cfg.optim_wrapper.get('paramwise_cfg') or {}
    if 'decay_rate' not in paramwise:
        return 'none'
    return f'{paramwise.decay_rate} {paramwise.get("decay_type", "layer_wise")}, to the same rate for the stem'


def _different_keys(runs: list[Run]) -> list[str]:
    """The keys of the runs' configs that are not the same in all, the shortest that tell."""
    leaves = [dict(_leaves(run.cfg.to_dict())) for run in runs]
    names = sorted({name for each in leaves for name in each})
    different = [name for name in names if any(each.get(name) != leaves[0].get(name) for each in leaves)]
    shown = dict.fromkeys('.'.join(name.split('.')[:3]).split('[')[0] for name in different)
    # The backbone is what is compared; one name stands for all its settings.
    kept = dict.fromkeys('model.backbone' if name.startswith('model.backbone') else name for name in shown)
    return [name for name in kept if name not in ('work_dir', 'randomness.seed')]


def _leaves(value: object, key: str = '') -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f'{key}.{name}' if key else str(name))
    elif isinstance(value, list | tuple):
        for i, each in enumerate(value):
            yield from _leaves(each, f'{key}[{i}]')
    else:
        yield key, value


def _plot(rows: list[dict], scores: list[str], shape: tuple[int, int], file: Path) -> str:
    """Plot the first score against multiply-adds, parameters and speed; return the picture as SVG."""
    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    done = [row for row in rows if scores and row['scores'].get(scores[0])]
    costs = {
        f'FLOPs at {shape[0]} x {shape[1]} (G)': lambda row: row['flops'] / 1e9 if row['flops'] else math.nan,
        'params (M)': lambda row: row['params'] / 1e6,
        'images/s in training': lambda row: statistics.median(row['images_per_second'] or [0]),
    }
    figure, axes = plt.subplots(1, len(costs), figsize=(12, 4.2), sharey=True)
    for axis, (label, cost) in zip(axes, costs.items(), strict=True):
        for i, row in enumerate(done):
            values = row['scores'][scores[0]]
            error = statistics.stdev(values) if len(values) > 1 else None
            axis.errorbar(
                cost(row),
                statistics.mean(values),
                yerr=error,
                marker=MARKERS[i % len(MARKERS)],
                color=f'C{i % 10}',
                markersize=9,
                linestyle='none',
                label=row['backbone'],
            )
        axis.set_xlabel(label)
        axis.margins(0.15)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(scores[0] if scores else 'score')
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc='upper center', bbox_to_anchor=(0.5, 0.02), ncol=2, frameon=False)
    figure.tight_layout()
    figure.savefig(file, dpi=120, bbox_inches='tight')
    picture = io.StringIO()
    figure.savefig(picture, format='svg', bbox_inches='tight')
    plt.close(figure)
    svg = picture.getvalue()
    return svg[svg.index('<svg') :]


def _page(comparison: Comparison, columns: list[str], cells: list[list[str]], plot: str, facts: dict[str, str]) -> str:
    def row(values: list[str], tag: str) -> str:
        return '<tr>' + ''.join(f'<{tag}>{html.escape(each)}</{tag}>' for each in values) + '</tr>'

    done = sum(run.cost is not None for run in comparison.runs)
    state = '' if done == len(comparison.runs) else f'<p><b>{done} of {len(comparison.runs)} runs are done.</b></p>'
    table = row(columns, 'th') + ''.join(row(each, 'td') for each in cells)
    fixed = ''.join(f'<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>' for name, value in facts.items())
    command = f'<h2>Made by</h2><pre>{html.escape(comparison.command)}</pre>' if comparison.command else ''
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Backbones compared</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ padding: .35rem .6rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: bottom }}
th:first-child, td:first-child {{ text-align: left; overflow-wrap: anywhere }}
dt {{ font-weight: 600; margin-top: .5rem }}
dd {{ margin: 0; overflow-wrap: anywhere }}
svg {{ max-width: 100%; height: auto }}
pre {{ background: #f5f5f5; padding: .7rem; white-space: pre-wrap }}
</style>
</head>
<body>
<h1>Backbones compared</h1>
{state}
<table>{table}</table>
<p>Scores are those of the last validation; of several seeds the mean and the standard deviation, and the median of the
speed and the time. Speed is measured in training, and holds for the device below. Peak memory is what PyTorch allocated
on a GPU, and on a CPU the process's. Parameters and FLOPs are of the whole model, counted as
tools/get_flops.py does.</p>
{plot}
<h2>What was held fixed</h2>
<dl>{fixed}</dl>
{command}
</body>
</html>
"""
