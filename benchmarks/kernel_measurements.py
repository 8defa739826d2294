"""What `kernels='auto'` goes by: how many times as fast as PyTorch the kernels were measured to be."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from convnext_dense.errors import UsageError
from convnext_dense.kernels.choice import CONDITIONS, MEASUREMENTS
from convnext_dense.kernels.numerics import measured_as

KEYS = (*CONDITIONS, 'pixels')
# By whether it is compiled, as is what it is compared with.
FORMS = {False: 'kernels, eager', True: 'kernels, compiled'}


def measurements_of(works: Sequence[dict], gpu: str, dtype: torch.dtype, shape: Sequence[int], v2: bool) -> list[dict]:
    """Return a block's figures as `convnext_dense.kernels.choice` reads them.

    Args:
        works: Of `benchmark_block`.
        gpu: Its name, as `torch.cuda.get_device_name` gives it.
        dtype: In which the block computed.
        shape: Of the block's input, (N, C, H, W).
        v2: Whether the block has a GRN.

    Example:
        >>> ratios = {'kernels, eager': {'ratio': 1.5}, 'kernels, compiled': {'ratio': 1.2}}
        >>> works = [{'work': 'forward', 'ratios': ratios}]
        >>> measurements_of(works, 'A GPU', torch.bfloat16, (2, 96, 8, 8), False)[1]['speedup']
        1.2
    """
    images, channels, height, width = shape
    return [
        dict(
            gpu=gpu,
            dtype=measured_as(dtype),
            channels=channels,
            grn=v2,
            training=work['work'] != 'forward',
            compiled=compiled,
            pixels=images * height * width,
            speedup=round(work['ratios'][form]['ratio'], 3),
        )
        for work in works
        for compiled, form in FORMS.items()
    ]


def check_writable(file: Path = MEASUREMENTS) -> None:
    """Raise UsageError if measurements cannot be recorded in a file's folder.

    Example:
        >>> import tempfile
        >>> check_writable(Path(tempfile.mkdtemp()) / 'measurements.json')
    """
    if not os.access(file.parent, os.W_OK):
        raise UsageError(
            f'--record: {file.parent} cannot be written to; install the package where you may write, such as from a '
            'clone by pip install -e.'
        )


def record(measurements: Sequence[dict], file: Path = MEASUREMENTS) -> None:
    """Add measurements to a file, in place of those of the same keys, sorted, a line each.

    Args:
        measurements: Of `measurements_of`.
        file: JSON; by default what the kernels' choice reads.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / 'measurements.json'
        >>> _ = file.write_text('[]')
        >>> values = ('A GPU', 'bfloat16', 96, False, True, False, 128, 1.5)
        >>> record([dict(zip((*KEYS, 'speedup'), values, strict=True))], file)
        >>> json.loads(file.read_text())[0]['speedup']
        1.5
    """
    entries = {tuple(each[key] for key in KEYS): each for each in (*json.loads(file.read_text()), *measurements)}
    lines = ',\n'.join(json.dumps(entries[key]) for key in sorted(entries))
    # Whole or not at all: training reads it.
    written = file.with_name(f'{file.name}.{os.getpid()}')
    written.write_text(f'[\n{lines}\n]\n')
    written.replace(file)
