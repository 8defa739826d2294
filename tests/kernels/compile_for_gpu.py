"""Compile the kernels for a GPU, which need not be present, by running their launches.

Writes JSON: the resources of the code for one image size, and of what other sizes compiled again.

Usage: python compile_for_gpu.py OUT CAPABILITY CHANNELS... [--dtype float32] [--all-candidates]
"""

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import CompiledKernel
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from convnext_dense.kernels import autotune
from convnext_dense.kernels.depthwise_conv import launch as depthwise_conv_launch
from convnext_dense.kernels.pointwise_mlp import launch as pointwise_mlp_launch
from convnext_dense.kernels.pointwise_mlp.grn import Grn

CUOBJDUMP = Path(triton.__file__).parent / 'backends' / 'nvidia' / 'bin' / 'cuobjdump'

# Images, height and width of the maps. The first one compiles; the others should find all code compiled.
SIZES = [(2, 16, 16), (1, 1, 1), (3, 17, 5), (1, 64, 48)]


class Recorder:
    """Replaces a GPU's driver, and compiles kernels instead of launching them."""

    def __init__(self, capability: int) -> None:
        self.codes: dict[int, dict] = {}
        target = GPUTarget('cuda', capability, 32)
        driver.set_active(
            SimpleNamespace(
                get_current_target=lambda: target,
                get_current_device=lambda: 0,
                get_current_stream=lambda _: 0,
            )
        )
        self.run = JITFunction.run
        JITFunction.run = lambda function, *args, **kwargs: self.compile(function, *args, **kwargs)

    def compile(self, function: JITFunction, *args: object, **kwargs: object) -> None:
        compiled = self.run(function, *args, **{**kwargs, 'warmup': True})
        if id(compiled) not in self.codes:
            self.codes[id(compiled)] = self.describe(function, compiled, kwargs)

    def describe(self, function: JITFunction, compiled: CompiledKernel, arguments: dict) -> dict:
        """Return what a program needs: registers and bytes of stack per thread, and bytes of shared memory."""
        with tempfile.NamedTemporaryFile(suffix='.cubin') as file:
            Path(file.name).write_bytes(compiled.asm['cubin'])
            usage = subprocess.run([CUOBJDUMP, '--dump-resource-usage', file.name], capture_output=True, text=True)
        found = dict(re.findall(r'\b(REG|STACK|LOCAL):(\d+)', usage.stdout + usage.stderr))
        return dict(
            kernel=function.fn.__name__,
            registers=int(found['REG']),
            stack=int(found['STACK']) + int(found['LOCAL']),
            shared=compiled.metadata.shared,
            tile={key: value for key, value in arguments.items() if key.isupper()},
        )


def launch_all(channels: int, dtype: torch.dtype, residual: torch.dtype, size: tuple[int, int, int]) -> None:
    """Launch every kernel as a training block does, with and without GRN.

    Args:
        channels: C.
        dtype: The dtype that the block computes in.
        residual: The dtype of the map between blocks; float32 under autocast.
        size: Images, height and width.
    """

    def make(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(shape, dtype=dtype)

    x, taps, bias = make(*size, channels, dtype=residual), make(channels, 1, 7, 7), make(channels)
    normed, rstd = make(*size, channels, dtype=dtype), make(*size)
    depthwise_conv_launch.convolve_and_normalize(x, taps, bias, 1e-6, dtype)
    depthwise_conv_launch.convolve_and_normalize_backward(normed, normed, rstd, x, taps)
    hidden, drop_path_scale = make(*size, 4 * channels, dtype=dtype), make(size[0])
    weight1, weight2 = make(4 * channels, channels, dtype=dtype), make(channels, 4 * channels, dtype=dtype)
    bias1, bias2 = make(4 * channels), make(channels)
    layer_scale = bias2 if dtype == torch.float16 else None
    squares = make(size[0], 4 * channels)
    for grn in (None, Grn(squares, squares, bias1, 1e-6)):
        grn_scale = None if grn is None else grn.scale
        pointwise_mlp_launch.hidden_layer(normed, weight1, bias1, grn is not None, keep_hidden=True)
        pointwise_mlp_launch.output_layer(hidden, grn_scale, weight2, bias2, layer_scale, x, drop_path_scale, residual)
        *_, activated = pointwise_mlp_launch.hidden_gradient(x, hidden, weight2, drop_path_scale, layer_scale, grn)
        pointwise_mlp_launch.output_weight_gradient(x, hidden, drop_path_scale, grn_scale, activated)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path)
    parser.add_argument('capability', type=int)
    parser.add_argument('channels', type=int, nargs='+')
    parser.add_argument('--dtype', default='bfloat16')
    parser.add_argument('--residual', default='float32')
    parser.add_argument('--all-candidates', action='store_true')
    args = parser.parse_args()
    recorder = Recorder(args.capability)
    if args.all_candidates:

        def tune(kernel, code, x, candidates, launch):
            *_, last = (launch(candidate) for candidate in candidates)
            return last

        for module in (depthwise_conv_launch, pointwise_mlp_launch):
            assert module.tune is autotune.tune
            module.tune = tune
    codes = []
    for size in SIZES:
        for channels in args.channels:
            launch_all(channels, getattr(torch, args.dtype), getattr(torch, args.residual), size)
        codes.append(list(recorder.codes.values()))
    args.out.write_text(json.dumps(dict(codes=codes[0], recompiled=codes[-1][len(codes[0]) :])))


if __name__ == '__main__':
    main()
