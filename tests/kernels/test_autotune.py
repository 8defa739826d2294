"""The tuner picks the fastest candidate for each class of shapes, within a time budget."""

import pytest
import torch

from convnext_dense.kernels.autotune import STALL_SECONDS, WINDOW_SECONDS, Tuner


class Machine:
    """Launches candidates that take the given seconds, and advances its clock by them."""

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
        """Run a kernel, return its candidate, and restart the list of what was launched."""
        self.launched.clear()
        return self.tuner.run('kernel', code, size, list(self.seconds), self.launch)


@pytest.fixture
def machine():
    return Machine({'slow': 0.003, 'fast': 0.001, 'medium': 0.002})


class TestTuner:
    def test_runs_the_fastest_candidate(self, machine):
        assert machine.run(1000) == 'fast'

    def test_times_a_class_of_shapes_once(self, machine):
        machine.run(1000)
        assert machine.run(600) == machine.run(1023) == 'fast'
        assert machine.launched == ['fast']

    def test_times_code_for_other_channels_separately(self, machine):
        machine.run(1000)
        machine.run(1000, code=('bfloat16', 192))
        assert set(machine.launched) == set(machine.seconds)

    def test_picks_another_candidate_for_a_new_class(self, machine):
        machine.run(1000)
        machine.seconds['slow'] = 0.0001
        assert machine.run(5000) == 'slow'
        assert machine.run(1000) == 'fast'

    def test_times_later_classes_within_its_budget(self):
        machine = Machine({str(i): 0.004 for i in range(50)})
        machine.run(1000)
        before = machine.now
        for size in (2**i for i in range(11, 30)):
            machine.run(size)
        runs = 19 * 0.004
        assert machine.now - before - runs <= STALL_SECONDS + 2 * 0.004

    def test_uses_the_nearest_choice_until_all_is_timed(self):
        machine = Machine({'a': 0.004, 'b': 0.02, 'c': 0.006})
        assert machine.run(1000) == 'a'
        machine.seconds |= {'a': 0.02, 'c': 0.004}
        for expected in ('a', 'a', 'c'):
            machine.now += WINDOW_SECONDS
            assert machine.run(2**20) == expected
        machine.now += WINDOW_SECONDS
        assert machine.run(2**20) == 'c'
        assert machine.launched == ['c']

    def test_times_nothing_in_deterministic_mode(self, machine):
        torch.use_deterministic_algorithms(True)
        try:
            assert machine.run(1000) == 'slow'
        finally:
            torch.use_deterministic_algorithms(False)
        assert machine.launched == ['slow']

    @pytest.mark.parametrize('resource', ['shared memory', 'registers', 'memory'])
    def test_skips_candidates_that_need_too_much(self, machine, resource):
        errors = pytest.importorskip('triton.runtime.errors')
        error = {
            'shared memory': errors.OutOfResources(200_000, 100_000, 'shared memory'),
            'registers': errors.PTXASError('too many registers'),
            'memory': torch.OutOfMemoryError('CUDA out of memory'),
        }

        def launch(candidate):
            if candidate == 'fast':
                raise error[resource]
            return machine.launch(candidate)

        assert machine.tuner.run('kernel', (), 1000, list(machine.seconds), launch) == 'medium'
