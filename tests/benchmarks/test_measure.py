"""Calls are timed in turn, and the machine is described."""

import itertools
import platform

import pytest
import torch

from benchmarks import measure
from benchmarks.measure import (
    added_memory,
    describe_machine,
    measure_rates,
    percentile,
    profiler,
    ratio_in_turn,
    summarize,
    time_in_turn,
)

CPU = torch.device('cpu')


class TestTiming:
    def test_calls_take_turns_and_the_first_changes(self):
        order = []
        calls = {name: lambda name=name: order.append(name) for name in 'abc'}
        seconds = time_in_turn(calls, CPU, rounds=3, warm_up=1)
        assert ''.join(order) == 'abc' + 'abc' + 'bca' + 'cab'
        assert [len(times) for times in seconds.values()] == [3, 3, 3]

    def test_a_time_is_the_calls_own(self, monkeypatch):
        clock = itertools.count()
        monkeypatch.setattr(measure.time, 'perf_counter', lambda: next(clock))
        seconds = time_in_turn({'slow': lambda: [next(clock) for _ in range(9)], 'fast': lambda: None}, CPU, 4, 0)
        assert seconds == {'slow': [10] * 4, 'fast': [1] * 4}
        assert ratio_in_turn(seconds['fast'], seconds['slow']) == 10

    def test_the_ratio_is_taken_round_by_round(self):
        # The machine slowed down and recovered; the ratio of the medians is 1.
        assert ratio_in_turn([1.0, 4.0, 3.0], [2.0, 8.0, 3.0]) == 2

    def test_the_summary_has_the_tail(self):
        summary = summarize([1.0] * 98 + [5.0, 9.0])
        assert summary['median'] == 1
        assert summary['p99'] == pytest.approx(5.04)
        assert percentile([1.0, 3.0], 50) == 2


class TestMemory:
    def test_counts_what_lives_at_the_same_time(self):
        def one_after_the_other():
            for _ in range(3):
                torch.ones(1000)

        kept = []
        assert added_memory(one_after_the_other, CPU) == 4000
        assert added_memory(lambda: kept.extend([torch.ones(1000), torch.ones(1000)]), CPU) == 8000


class TestMachine:
    def test_has_versions_of_what_is_installed(self, monkeypatch):
        monkeypatch.setattr(measure, 'PACKAGES', ('torch', 'no-such-package'))
        machine = describe_machine(CPU)
        assert machine['versions'].keys() == {'python', 'torch'}
        assert machine['versions']['torch'].startswith(torch.__version__.split('+')[0])
        assert machine['threads'] == torch.get_num_threads()
        assert machine['processor']

    def test_has_the_processors_name(self, monkeypatch, tmp_path):
        file = tmp_path / 'cpuinfo'
        file.write_text('processor\t: 0\nvendor_id\t: X\nmodel name\t: Some CPU @ 2.00GHz\n\nmodel name\t: Other\n')
        monkeypatch.setattr(measure, 'CPU_FILE', file)
        assert describe_machine(CPU)['processor'] == 'Some CPU @ 2.00GHz'
        # As on ARM; then as where there is no such file.
        file.write_text('processor\t: 0\n')
        assert describe_machine(CPU)['processor'] == (platform.processor() or platform.machine())
        file.unlink()
        assert describe_machine(CPU)['processor'] == (platform.processor() or platform.machine())

    @pytest.mark.parametrize(
        ('content', 'version'),
        [
            ('NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82  Sat Nov  2 00:00:00 UTC 2024\n', '470.82'),
            ('NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build\n', '550.54.15'),
        ],
    )
    def test_has_a_gpus_driver(self, monkeypatch, tmp_path, content, version):
        file = tmp_path / 'version'
        file.write_text(content + 'GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1)\n')
        monkeypatch.setattr(measure, 'DRIVER_FILE', file)
        monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device: 'Some GPU')
        machine = describe_machine(torch.device('cuda'))
        assert (machine['device'], machine['versions']['driver']) == ('Some GPU', version)

    def test_rates_are_work_by_time(self, monkeypatch):
        monkeypatch.setitem(measure.MATMUL_SIZE, 'cpu', 8)
        monkeypatch.setitem(measure.COPY_BYTES, 'cpu', 100)
        monkeypatch.setattr(measure, 'time_in_turn', lambda calls, *_: dict(matmul=[2.0], bandwidth=[4.0]))
        assert measure_rates(torch.float32, CPU) == dict(matmul=2 * 8**3 / 2, bandwidth=2 * 100 / 4)


def test_the_profiler_prints_nothing(capfd):
    with profiler(CPU):
        torch.ones(2)
    assert capfd.readouterr() == ('', '')
