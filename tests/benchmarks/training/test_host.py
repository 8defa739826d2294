"""The benchmark of the host counts what a step starts."""

import json

import pytest
import torch
from helpers.demo_runs import DETECTOR

from benchmarks.training import host


def test_views_start_nothing():
    values = torch.ones(2, 3)
    with host.Launches() as launches:
        values.t()[1:].unsqueeze(0)
        values + 1
    assert launches.names == {'aten::add': 1}


@pytest.mark.full
def test_a_step_with_the_switches_starts_less(tmp_path):
    out = tmp_path / 'host.json'
    host.main(['--configs', str(DETECTOR), '--rounds', '1', '--out', str(out)])
    (case,) = json.loads(out.read_text())['cases']
    assert case['launches'][host.SPEED] < case['launches'][host.OURS]
    assert case['backbone_milliseconds'].keys() == {host.OURS, host.THEIRS}
