"""Times are taken in turn, and what is printed is what was measured."""

import itertools
import json

import pytest
import torch

from convnext_dense.benchmarks import measurement
from convnext_dense.benchmarks.measurement import (
    added_memory,
    describe_machine,
    format_table,
    percentile,
    ratio_in_turn,
    summarize,
    time_in_turn,
    write_json,
)

CPU = torch.device('cpu')


def test_calls_take_turns_and_the_first_changes():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in 'abc'}
    seconds = time_in_turn(calls, CPU, rounds=3, warm_up=1)
    assert ''.join(order) == 'abc' + 'abc' + 'bca' + 'cab'
    assert [len(times) for times in seconds.values()] == [3, 3, 3]


def test_the_time_is_the_calls_own(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(measurement.time, 'perf_counter', lambda: next(clock))
    seconds = time_in_turn({'slow': lambda: [next(clock) for _ in range(9)], 'fast': lambda: None}, CPU, 4, 0)
    assert seconds == {'slow': [10] * 4, 'fast': [1] * 4}
    assert ratio_in_turn(seconds['fast'], seconds['slow']) == 10


def test_the_ratio_is_taken_round_by_round():
    # The machine was half as fast in the second round: a ratio of medians of unpaired rounds would not be 2.
    assert ratio_in_turn([1.0, 2.0, 1.0], [2.0, 4.0, 2.0]) == 2


def test_the_summary_has_the_tail():
    summary = summarize([1.0] * 98 + [5.0, 9.0])
    assert summary['median'] == 1
    assert summary['p99'] == pytest.approx(5.04)
    assert percentile([1.0, 3.0], 50) == 2


def test_added_memory_counts_what_lives_at_the_same_time():
    def one_after_the_other():
        for _ in range(3):
            torch.ones(1000)

    kept = []
    assert added_memory(one_after_the_other, CPU) == 4000
    assert added_memory(lambda: kept.extend([torch.ones(1000), torch.ones(1000)]), CPU) == 8000


def test_the_machine_is_described_with_versions():
    machine = describe_machine(CPU, 'numpy', 'no-such-package')
    assert machine['versions']['torch'].startswith(torch.__version__.split('+')[0])
    assert {'numpy', 'python', 'mmdet'} <= machine['versions'].keys()
    assert 'no-such-package' not in machine['versions']
    assert machine['threads'] == torch.get_num_threads()


def test_a_table_is_aligned():
    assert format_table(['a', 'ms'], [['bb', '10.0'], ['c', '1.0']]) == 'a     ms\nbb  10.0\nc    1.0'


def test_json_is_written_into_a_new_folder(tmp_path):
    write_json(str(tmp_path / 'new' / 'figures.json'), dict(ms=1.5))
    assert json.loads((tmp_path / 'new' / 'figures.json').read_text()) == {'ms': 1.5}
