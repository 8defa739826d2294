"""Measure the peak memory that loading pretrained weights adds to a backbone, relative to the size of the file.

Each row is a process of its own: it builds the backbone, notes its memory, loads the weights, and notes the peak.
Random weights of a classifier in the official layout stand in for published ones. Linux only.
"""

import argparse
import multiprocessing
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from mmengine.runner import load_checkpoint

from benchmarks.cases import run_benchmark
from convnext_dense.backbones import ConvNeXt
from convnext_dense.reports.table import format_table
from convnext_dense.weights import load_pretrained
from convnext_dense.weights.storage.files import write_file

ROWS = [('init_cfg', '.pth'), ('init_cfg', '.safetensors'), ('load_from', '.pth'), ('torch.load', '.pth')]
MEGABYTE = 1e6


def _load_by_torch(backbone: ConvNeXt, file: str) -> None:
    backbone.load_state_dict(torch.load(file)['state_dict'], strict=False)


LOADERS = {'init_cfg': load_pretrained, 'load_from': load_checkpoint, 'torch.load': _load_by_torch}


def measure_loading(arch: str, loader: str, file: str) -> int:
    """Return the peak of this process's memory while it loads a file, in bytes above what it had before.

    Args:
        arch: A key of `ConvNeXt.arch_settings`.
        loader: A key of `LOADERS`.
        file: The weights.
    """
    backbone = ConvNeXt(arch, layer_scale_init_value=1.0)
    # Resets the peak.
    Path('/proc/self/clear_refs').write_text('5')
    before = _read_memory('VmRSS')
    LOADERS[loader](backbone, file)
    return _read_memory('VmHWM') - before


def _read_memory(key: str) -> int:
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def measure_in_process(arch: str, loader: str, file: str) -> int:
    """Do as `measure_loading`, in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as executor:
        return executor.submit(measure_loading, arch, loader, file).result()


def write_weights(arch: str, folder: str) -> None:
    """Write a classifier's weights in each format that `ROWS` names."""
    backbone = ConvNeXt(arch, layer_scale_init_value=1.0)
    weights = {name: tensor for name, tensor in backbone.state_dict().items() if not name.startswith('norm')}
    width = backbone.channels[-1]
    for name, shape in (('norm', (width,)), ('head', (1000, width))):
        weights |= {f'{name}.weight': torch.rand(shape), f'{name}.bias': torch.rand(shape[0])}
    for suffix in {suffix for _, suffix in ROWS}:
        write_file(Path(folder) / f'weights{suffix}', weights)


def run(args: argparse.Namespace) -> Iterator[dict]:
    """Yield the figures of the size that the command line names."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_weights(args.arch, folder)
        for loader, suffix in ROWS:
            file = Path(folder) / f'weights{suffix}'
            added, size = measure_in_process(args.arch, loader, str(file)), file.stat().st_size
            rows.append(dict(loader=loader, file=suffix, file_bytes=size, added_bytes=added, ratio=added / size))
    yield dict(arch=args.arch, rows=rows)


def table(figures: dict) -> str:
    """Return the figures of a size as text."""
    rows = [
        [
            f'{row["loader"]}, {row["file"]}',
            f'{row["file_bytes"] / MEGABYTE:.0f}',
            f'{row["added_bytes"] / MEGABYTE:.0f}',
            f'{row["ratio"]:.3f}',
        ]
        for row in figures['rows']
    ]
    return format_table(rows, [f'ConvNeXt {figures["arch"]}', 'file MB', 'added MB', 'added / file'])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--arch', choices=ConvNeXt.arch_settings, default='xlarge', help='by default xlarge')
    run_benchmark(parser, arguments, run, table)


if __name__ == '__main__':
    main()
