"""Timing chooses the fastest candidate of each class of shapes, and never takes long once code is compiled."""

import pytest
import torch

from convnext_dense.kernels.autotune import STALL_SECONDS, WINDOW_SECONDS, Tuner


class Machine:
    """Launches candidates that take the given seconds, and has the time go on as they say."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.launched: list[str] = []
        self.tuner = Tuner(self.measure, lambda: self.now)

    def launch(self, candidate: str) -> str:
        self.launched.append(candidate)
        self.now += self.seconds[candidate]
        return candidate

    def measure(self, call):
        start = self.now
        return call(), self.now - start

    def run(self, size: int, code: tuple = ('bfloat16', 96)) -> str:
        """Return by which candidate a kernel ran, and forget what was launched."""
        self.launched.clear()
        return self.tuner.run('kernel', code, size, list(self.seconds), self.launch)


@pytest.fixture
def machine():
    return Machine({'slow': 0.003, 'fast': 0.001, 'medium': 0.002})


def test_the_fastest_candidate_runs(machine):
    assert machine.run(1000) == 'fast'


def test_a_class_of_shapes_is_timed_once(machine):
    machine.run(1000)
    assert machine.run(600) == machine.run(1023) == 'fast'
    assert machine.launched == ['fast']


def test_a_kernel_of_other_channels_is_timed_by_itself(machine):
    machine.run(1000)
    machine.run(1000, code=('bfloat16', 192))
    assert set(machine.launched) == set(machine.seconds)


def test_a_new_class_may_have_another_fastest(machine):
    machine.run(1000)
    machine.seconds['slow'] = 0.0001
    assert machine.run(5000) == 'slow'
    assert machine.run(1000) == 'fast'


def test_timing_of_later_classes_stops_at_its_share_of_the_time():
    machine = Machine({str(i): 0.004 for i in range(50)})
    machine.run(1000)
    before = machine.now
    for size in (2**i for i in range(11, 30)):
        machine.run(size)
    runs = 19 * 0.004
    assert machine.now - before - runs <= STALL_SECONDS + 2 * 0.004


def test_what_could_not_be_timed_goes_by_the_nearest_class_until_its_turn_comes():
    machine = Machine({'a': 0.004, 'b': 0.02, 'c': 0.006})
    assert machine.run(1000) == 'a'
    machine.seconds |= {'a': 0.02, 'c': 0.004}
    for expected in ('a', 'a', 'c'):
        machine.now += WINDOW_SECONDS
        assert machine.run(2**20) == expected
    machine.now += WINDOW_SECONDS
    assert machine.run(2**20) == 'c'
    assert machine.launched == ['c']


def test_nothing_is_timed_when_pytorch_is_to_be_deterministic(machine):
    torch.use_deterministic_algorithms(True)
    try:
        assert machine.run(1000) == 'slow'
    finally:
        torch.use_deterministic_algorithms(False)
    assert machine.launched == ['slow']


@pytest.mark.parametrize('what', ['shared memory', 'registers', 'memory'])
def test_a_candidate_that_the_gpu_is_too_small_for_is_passed_over(machine, what):
    errors = pytest.importorskip('triton.runtime.errors')
    error = {
        'shared memory': errors.OutOfResources(200_000, 100_000, 'shared memory'),
        'registers': errors.PTXASError('too many registers'),
        'memory': torch.OutOfMemoryError('CUDA out of memory'),
    }

    def launch(candidate):
        if candidate == 'fast':
            raise error[what]
        return machine.launch(candidate)

    assert machine.tuner.run('kernel', (), 1000, list(machine.seconds), launch) == 'medium'
