"""Time training steps with each switch alone, the fused kernels, or CUDA graphs against OpenMMLab's way, in turn.

Each switch is a comparison of its own, as `benchmarks.training.compare` makes it, and is saved when it is done. Of the
switches, `ddp` acts between several GPUs, and `data` before a step; neither is timed here.
"""

import argparse
import gc
from collections.abc import Iterator, Sequence

import torch
from mmengine.config import ConfigDict

from benchmarks.cases import run_benchmark
from benchmarks.training.compare import OURS, THEIRS, add_batch_arguments, benchmark_training, table
from convnext_dense.cli.arguments import at_least, parse_cfg_options
from convnext_dense.config import load_config
from convnext_dense.config.speed.switches import SWITCHES
from convnext_dense.registry import SCOPE

ACT_ELSEWHERE = ('ddp', 'data')
# The fused kernels are an option of the model, not a switch.
KERNELS = 'kernels'
# The backbone's, of one size each: an argument of the hook.
CUDA_GRAPHS = 'cuda_graphs'
RECORDING_HOOK = dict(type=f'{SCOPE}.CompileHook', modules=['backbone'], dynamic=False, mode='reduce-overhead')
ONE_BY_ONE = ('none', KERNELS, CUDA_GRAPHS, *(name for name in SWITCHES if name not in ACT_ELSEWHERE))


def run(args: argparse.Namespace) -> Iterator[dict]:
    """Yield the figures of each switch."""
    for name in args.switches:
        options = dict(parse_cfg_options(args.cfg_options) or {})
        if name == KERNELS:
            options['model.backbone.kernels'] = 'triton'
        cfg = load_config(args.config, cfg_options=options)
        if name == CUDA_GRAPHS:
            cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), ConfigDict(RECORDING_HOOK)]
        switches = [*args.speed, *([name] if name in SWITCHES else [])]
        batch = dict(batch_size=args.batch_size, scale=args.scale, with_data=args.with_data)
        figures = benchmark_training(cfg, switches, args.rounds, **batch)
        yield dict(switch=name, **figures)
        del figures
        # What the run before compiled, and kept of the GPU's memory.
        torch.compiler.reset()
        gc.collect()
        torch.cuda.empty_cache()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_batch_arguments(parser)
    parser.add_argument('--switches', nargs='+', choices=ONE_BY_ONE, default=ONE_BY_ONE, help='by default all')
    parser.add_argument('--rounds', type=at_least(1), default=40, help=f'timed steps of {OURS} and of {THEIRS}')
    run_benchmark(parser, arguments, run, table)


if __name__ == '__main__':
    main()
