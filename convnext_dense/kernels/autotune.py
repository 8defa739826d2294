"""Chooses a kernel's configuration by timing, once per class of shapes and within a time budget."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import torch
from mmengine.logging import print_log
from torch import Tensor

Candidate = TypeVar('Candidate')
Result = TypeVar('Result')

# Once a kernel is compiled, timing takes at most STALL_SECONDS of every WINDOW_SECONDS.
STALL_SECONDS = 0.02
WINDOW_SECONDS = 1.0
# About 0.3 ms.
QUEUEING_CYCLES = 500_000


class Tuner:
    """Times a kernel's candidates and keeps the fastest one for each class of shapes.

    A class holds the shapes that run the same code and whose sizes have the same power of 2. The first class times
    every candidate, which compiles it. Later classes time compiled candidates only, for at most `STALL_SECONDS` of
    every `WINDOW_SECONDS`. A class whose candidates are not all timed uses the choice of the nearest class that has
    one. Nothing is timed while PyTorch has to be deterministic, or while a CUDA graph is captured.

    Args:
        measure: Makes a call; returns its result and the seconds it took.
        clock: Returns the current time in seconds, by which the budget is counted.

    Example:
        >>> seconds = {'fast': 1e-4, 'slow': 2e-4}
        >>> tuner = Tuner(measure=lambda call: (result := call(), seconds[result]))
        >>> tuner.run('kernel', ('float32', 96), 4096, ['slow', 'fast'], lambda candidate: candidate)
        'fast'
    """

    def __init__(
        self,
        measure: Callable[[Callable[[], object]], tuple[object, float]],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.measure = measure
        self.clock = clock
        self._chosen: dict[tuple, dict[int, Any]] = {}
        self._timed: dict[tuple, dict[Any, float]] = {}
        self._window_start = clock()
        self._spent = 0.0

    def run(
        self,
        kernel: str,
        code: tuple,
        size: int,
        candidates: Sequence[Candidate],
        launch: Callable[[Candidate], Result],
    ) -> Result:
        """Launch a kernel with the best candidate for its shape; time the candidates first if that is due.

        Args:
            kernel: The kernel's name.
            code: What its code is compiled for, such as the dtype and the channels.
            size: What varies from image to image, such as the number of pixels.
            candidates: Configurations. The first one runs where nothing may be timed.
            launch: Runs the kernel with a candidate. Timing calls it several times.
        """
        if len(candidates) == 1 or torch.are_deterministic_algorithms_enabled():
            return launch(candidates[0])
        shape_class = size.bit_length()
        chosen = self._chosen.setdefault((kernel, code), {})
        if shape_class not in chosen and not _is_capturing():
            timed = self._timed.setdefault((kernel, code, shape_class), {})
            missing = [candidate for candidate in candidates if candidate not in timed]
            self._time(missing, launch, timed, bounded=bool(chosen))
            if len(timed) == len(candidates):
                chosen[shape_class] = min(timed, key=timed.__getitem__)
        if not chosen:
            return launch(candidates[0])
        nearest = min(chosen, key=lambda other: abs(other - shape_class))
        return launch(chosen[nearest])

    def _time(
        self,
        candidates: Sequence[Candidate],
        launch: Callable[[Candidate], Result],
        timed: dict[Candidate, float],
        bounded: bool,
    ) -> None:
        """Time as many candidates as the budget allows, or all of them if it does not apply."""
        for candidate in candidates:
            if bounded and not self._has_budget():
                return
            start = self.clock()
            try:
                if not bounded:
                    launch(candidate)
                timed[candidate] = min(self.measure(lambda: launch(candidate))[1] for _ in range(2))  # noqa: B023
            except _out_of_resource_errors():
                timed[candidate] = float('inf')
            if bounded:
                self._spent += self.clock() - start

    def _has_budget(self) -> bool:
        now = self.clock()
        if now - self._window_start >= WINDOW_SECONDS:
            self._window_start, self._spent = now, 0.0
        return self._spent < STALL_SECONDS


def measure_on_gpu(call: Callable[[], Result]) -> tuple[Result, float]:
    """Return the result of `call` and the seconds it took on the current stream."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    # Keep the GPU busy until all is queued, so that the host's time is not counted.
    torch.cuda._sleep(QUEUEING_CYCLES)
    start.record()
    result = call()
    end.record()
    end.synchronize()
    return result, start.elapsed_time(end) / 1e3


_tuner = Tuner(measure_on_gpu)


def tune(
    kernel: str,
    code: tuple,
    x: Tensor,
    candidates: Sequence[Candidate],
    launch: Callable[[Candidate], Result],
) -> Result:
    """Launch a kernel with the best candidate for the device and the number of pixels of `x`; see `Tuner.run`."""
    _log_once()
    if not x.is_cuda:
        # Times of Triton's interpreter mean nothing.
        return launch(candidates[0])
    return _tuner.run(kernel, (x.device, *code), x.numel() // x.shape[-1], candidates, launch)


def reset_autotuning() -> None:
    """Drop all choices, so that the next launches time every candidate again."""
    global _tuner
    _tuner = Tuner(measure_on_gpu)


@cache
def _log_once() -> None:
    print_log("ConvNeXt's blocks run with the fused kernels.", logger='current')


def _is_capturing() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def _out_of_resource_errors() -> tuple[type[BaseException], ...]:
    """Return the errors of a configuration that needs more registers or memory than the GPU has."""
    from triton.runtime.errors import OutOfResources, PTXASError

    return OutOfResources, PTXASError, torch.OutOfMemoryError
