"""What all launches of kernels have in common."""

from collections.abc import Callable, Sequence
from functools import cache

from mmengine.logging import print_log
from torch import Tensor

from convnext_dense.kernels.autotune import Candidate, Result, Tuner, measure_on_gpu

# Triton's default is about to change, and a product with a sum is what these kernels are made of.
OPTIONS = dict(enable_fp_fusion=True)

_tuner = Tuner(measure_on_gpu)


@cache
def _say_once() -> None:
    print_log("ConvNeXt's blocks run by the fused kernels.", logger='current')


def tune(
    kernel: str,
    code: tuple,
    x: Tensor,
    candidates: Sequence[Candidate],
    launch: Callable[[Candidate], Result],
) -> Result:
    """Launch a kernel by the candidate that suits `x`'s device and number of pixels; see `Tuner.run`."""
    _say_once()
    if not x.is_cuda:
        # Triton's interpreter, whose times say nothing.
        return launch(candidates[0])
    return _tuner.run(kernel, (x.device, *code), x.numel() // x.shape[-1], candidates, launch)


def forget() -> None:
    """Have the next launches tune as if they were the process's first, as a benchmark of one shape wants."""
    global _tuner
    _tuner = Tuner(measure_on_gpu)
