"""The benchmark of waits counts what would wait for a GPU."""

import json

import pytest
import torch
from helpers.demo_runs import DETECTOR

from benchmarks.training import waits


def test_questions_of_each_kind_are_counted_at_their_line():
    values = torch.arange(4.0)
    with waits.Waits() as found:
        values.sum().item()
        values[values > 1].sum()
        values.nonzero()
        values[1:3].sum()
    assert found.lines.total() == 3
    assert all('test_questions_of_each_kind_are_counted_at_their_line' in line for line in found.lines)


def test_an_optimizers_counters_are_on_the_host():
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    optimizer = torch.optim.AdamW([weight])
    with waits.Waits() as found:
        optimizer.step()
    assert not found.lines


@pytest.mark.full
def test_the_switch_leaves_fewer(tmp_path):
    out = tmp_path / 'waits.json'
    waits.main(['--configs', str(DETECTOR), '--out', str(out)])
    (case,) = json.loads(out.read_text())['cases']
    assert case['waits']['waits'] < case['waits']['without']
    assert not any('max_iou_assigner' in line or 'message_hub' in line for line in case['lines']['waits'])
