"""Chooses a kernel's configuration by timing, once for each class of shapes and within a bounded time."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Candidate = TypeVar('Candidate')
Result = TypeVar('Result')

# Of each second, the most that timing may take once a kernel's code is compiled.
STALL_SECONDS = 0.02
WINDOW_SECONDS = 1.0
# About 0.3 ms.
QUEUEING_CYCLES = 500_000


class Tuner:
    """Times a kernel's candidates and keeps the fastest for all shapes of a class.

    Of the shapes that one code serves, those whose sizes have the same power of 2 are a class. The first class times
    every candidate, which compiles them. Later classes find them compiled; for them timing stops when it has taken
    `STALL_SECONDS` of `WINDOW_SECONDS`, and goes on in the next window. Until all of its candidates are timed, a class
    goes by the nearest one that has its choice. Nothing is timed while PyTorch is to be deterministic or a CUDA graph
    is captured.

    Args:
        measure: Returns the result of a call and the seconds it took.
        clock: Returns the seconds by which the window is counted.

    Example:
        >>> seconds = {'fast': 1e-4, 'slow': 2e-4}
        >>> tuner = Tuner(measure=lambda call: (result := call(), seconds[result]))
        >>> tuner.run('kernel', ('float32', 96), 4096, ['slow', 'fast'], lambda candidate: candidate)
        'fast'
    """

    def __init__(
        self,
        measure: Callable[[Callable[[], Result]], tuple[Result, float]],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.measure = measure
        self.clock = clock
        self._chosen: dict[tuple, dict[int, object]] = {}
        self._timed: dict[tuple, dict[object, float]] = {}
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
        """Launch a kernel by the candidate that suits the shape, timing the candidates if that is due.

        Args:
            kernel: The kernel's name.
            code: What its code is compiled for, such as the dtype and the channels.
            size: What varies from image to image, such as the number of pixels.
            candidates: Configurations; the first is taken where nothing may be timed.
            launch: Runs the kernel by a candidate, as often as it is asked to.
        """
        if len(candidates) == 1 or torch.are_deterministic_algorithms_enabled():
            return launch(candidates[0])
        shape_class = size.bit_length()
        chosen = self._chosen.setdefault((kernel, code), {})
        if shape_class not in chosen and not _is_capturing():
            timed = self._timed.setdefault((kernel, code, shape_class), {})
            self._time([each for each in candidates if each not in timed], launch, timed, bounded=bool(chosen))
            if len(timed) == len(candidates):
                chosen[shape_class] = min(timed, key=timed.get)
        if not chosen:
            return launch(candidates[0])
        nearest = min(chosen, key=lambda each: abs(each - shape_class))
        return launch(chosen[nearest])

    def _time(
        self,
        candidates: Sequence[Candidate],
        launch: Callable[[Candidate], Result],
        timed: dict[Candidate, float],
        bounded: bool,
    ) -> None:
        """Time candidates into `timed`, as many as there is time for."""
        for candidate in candidates:
            if bounded and not self._has_budget():
                return
            start = self.clock()
            try:
                if not bounded:
                    launch(candidate)
                timed[candidate] = min(self.measure(lambda: launch(candidate))[1] for _ in range(2))  # noqa: B023
            except _too_much():
                timed[candidate] = float('inf')
            if bounded:
                self._spent += self.clock() - start

    def _has_budget(self) -> bool:
        now = self.clock()
        if now - self._window_start >= WINDOW_SECONDS:
            self._window_start, self._spent = now, 0.0
        return self._spent < STALL_SECONDS


def measure_on_gpu(call: Callable[[], Result]) -> tuple[Result, float]:
    """Return the result of `call`, and the seconds of the current stream that it took."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    # The GPU begins once all is queued: what the host takes is not the kernel's.
    torch.cuda._sleep(QUEUEING_CYCLES)
    start.record()
    result = call()
    end.record()
    end.synchronize()
    return result, start.elapsed_time(end) / 1e3


def _is_capturing() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def _too_much() -> tuple[type[BaseException], ...]:
    """Return what is raised for a configuration that the GPU has too little of something for."""
    from triton.runtime.errors import OutOfResources, PTXASError

    return OutOfResources, PTXASError, torch.OutOfMemoryError
