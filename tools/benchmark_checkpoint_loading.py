"""Measure the peak memory that loading pretrained weights adds to a backbone, as a multiple of the file's size.

Each row is a process of its own: it builds the backbone, notes its memory, loads the weights, and notes the peak.
Random weights of a classifier in the official layout stand for published ones. Linux only.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from mmengine.runner import load_checkpoint

from convnext_dense.backbones import ConvNeXt
from convnext_dense.weights import load_pretrained
from convnext_dense.weights.files import write_file

MEGABYTE = 1e6


def by_torch(backbone: ConvNeXt, file: str) -> None:
    """Read the whole file, then copy: what `torch.load` and `load_state_dict` do."""
    backbone.load_state_dict(torch.load(file)['state_dict'], strict=False)


def by_mmengine(backbone: ConvNeXt, file: str) -> None:
    """Load as `load_from` does."""
    load_checkpoint(backbone, file)


LOADERS = {'init_cfg': load_pretrained, 'load_from': by_mmengine, 'torch.load': by_torch}
ROWS = [('init_cfg', '.pth'), ('init_cfg', '.safetensors'), ('load_from', '.pth'), ('torch.load', '.pth')]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--arch', choices=ConvNeXt.arch_settings, default='xlarge')
    parser.add_argument('--out', help='save the figures as JSON')
    parser.add_argument('--row', nargs=2, metavar=('LOADER', 'FILE'), help=argparse.SUPPRESS)
    return parser.parse_args()


def memory(kind: str) -> int:
    """Return this process's memory in bytes: VmRSS now, or VmHWM at its peak."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


def measure(arch: str, loader: str, file: str) -> int:
    """Return how many bytes of memory loading `file` adds at the peak."""
    backbone = ConvNeXt(arch, layer_scale_init_value=1.0)
    Path('/proc/self/clear_refs').write_text('5')
    before = memory('VmRSS')
    LOADERS[loader](backbone, file)
    return memory('VmHWM') - before


def make_files(arch: str, folder: str) -> None:
    """Write a classifier's weights in each format."""
    backbone = ConvNeXt(arch, layer_scale_init_value=1.0)
    weights = {name: tensor for name, tensor in backbone.state_dict().items() if not name.startswith('norm')}
    width = backbone.channels[-1]
    for name, shape in (('norm', (width,)), ('head', (1000, width))):
        weights |= {f'{name}.weight': torch.rand(shape), f'{name}.bias': torch.rand(shape[0])}
    for suffix in {suffix for _, suffix in ROWS}:
        write_file(Path(folder) / f'weights{suffix}', weights)


def main() -> None:
    args = parse_args()
    if args.row:
        print(measure(args.arch, *args.row))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        make_files(args.arch, folder)
        print(f'ConvNeXt {args.arch}, torch {torch.__version__}')
        print(f'{"loader":<12} {"file":<14} {"file MB":>8} {"added MB":>9} {"added / file":>13}')
        for loader, suffix in ROWS:
            file = Path(folder) / f'weights{suffix}'
            command = [sys.executable, '-W', 'ignore', __file__, '--arch', args.arch, '--row', loader, file]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            added, size = int(printed.split()[-1]), file.stat().st_size
            rows.append(dict(loader=loader, file=suffix, file_bytes=size, added_bytes=added, ratio=added / size))
            print(f'{loader:<12} {suffix:<14} {size / MEGABYTE:>8.0f} {added / MEGABYTE:>9.0f} {added / size:>13.3f}')
    if args.out:
        Path(args.out).write_text(json.dumps(dict(arch=args.arch, torch=torch.__version__, rows=rows), indent=2))


if __name__ == '__main__':
    main()
