"""A run's start is timed up to its first step and its first validation."""

import pytest
from helpers.demo_runs import DETECTOR

from benchmarks.training.start import MARKS, main, measure_start
from convnext_dense.errors import UsageError


@pytest.mark.e2e
def test_marks_come_in_their_order(pytestconfig, demo_data, monkeypatch, capsys):
    monkeypatch.chdir(demo_data)
    (case,) = main([str(DETECTOR), '--tree', str(pytestconfig.rootpath), '--rounds', '1', '--train', '--iters', '1'])
    marks = case['trees'][str(pytestconfig.rootpath)]
    seconds = [marks[mark]['processor_seconds'] for mark in MARKS]
    assert 0 < seconds[0] < seconds[1]
    assert 'first validation, s' in capsys.readouterr().out


def test_a_run_that_fails_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match=r'ended before its first validation: .*no-such'):
        measure_start(str(tmp_path), ['no-such-config'])
