"""The benchmark of exports measures each way."""

import json

import pytest
from helpers.demo_runs import SEGMENTER

from benchmarks import exports


@pytest.mark.full
def test_each_way_is_measured(tmp_path):
    out = tmp_path / 'out.json'
    exports.main([str(SEGMENTER), '--shape', '64', '96', '--rounds', '2', '--threads', '1', '--out', str(out)])
    cases = json.loads(out.read_text())['cases']
    assert [case['way'] for case in cases] == ['PyTorch', *exports.WAYS]
    assert cases[0]['times_as_fast'] == 1
    assert all(case['seconds'] >= case['least_seconds'] > 0 for case in cases)
