"""Forward and backward passes are timed, of models that compute the same."""

import pytest
import torch
from torch import nn

from benchmarks.cases import Case
from benchmarks.passes import check_close, compute_outputs, format_passes, time_passes

CASE = Case('atto', (1, 3, 32, 32), rounds=2, warm_up=1)


class TestTimePasses:
    def test_runs_each_pass_in_its_mode(self):
        model, modes, checked = nn.Linear(2, 2), [], []
        model.register_forward_hook(lambda module, *_: modes.append((module.training, torch.is_grad_enabled())))
        x = torch.ones(1, 2)
        results = list(time_passes({'a': model}, {'a': x}, CASE, lambda *_: checked.append(model.training)))
        assert [name for name, *_ in results] == ['forward', 'forward + backward']
        # A warm-up, two rounds, and a call for the memory.
        assert modes == [(False, False)] * 4 + [(True, True)] * 4
        assert checked == [False, True]
        assert model.weight.grad is None

    def test_queued_calls_count_one_by_one(self, monkeypatch):
        calls = []
        model = nn.Linear(2, 2)
        model.register_forward_hook(lambda *_: calls.append(1))
        monkeypatch.setattr('benchmarks.measure.time_call', lambda call, device: call() or 30.0)
        _, seconds, _ = next(time_passes({'a': model}, {'a': torch.ones(1, 2)}, CASE, lambda *_: None, queued=10))
        assert seconds == {'a': [3.0, 3.0]}
        assert len(calls) == 3 * 10 + 1

    def test_outputs_are_in_the_cases_dtype(self):
        case = Case('atto', (1, 3, 32, 32), torch.bfloat16)
        (output,) = compute_outputs(nn.Linear(2, 2), torch.ones(1, 2), case)
        assert output.dtype == torch.bfloat16


class TestCheckClose:
    def test_other_values_are_refused(self):
        first = {'output': torch.ones(3), 'gradient of weight': torch.ones(3)}
        check_close('compiled', first, first, 0.1)
        wrong = {**first, 'gradient of weight': torch.tensor([1.0, 1.0, 1.5])}
        with pytest.raises(RuntimeError, match='compiled: gradient of weight differs'):
            check_close('compiled', wrong, first, 0.1)

    def test_nan_is_refused(self):
        with pytest.raises(RuntimeError, match='compiled: output differs'):
            check_close('compiled', {'output': torch.tensor([torch.nan])}, {'output': torch.ones(1)}, 0.1)


def test_the_table_is_sorted_by_time():
    slow = dict(variant='slow', median=0.2, p10=0.1, p90=0.3, memory=2**20)
    fast = {**slow, 'variant': 'fast', 'median': 0.1}
    ratios = {'slow': dict(peer='fast', ratio=0.5, memory=1.0)}
    text = format_passes([{'pass': 'forward', 'variants': [slow, fast], 'ratios': ratios}], 'block')
    header, first, second, ratio = text.splitlines()
    assert header.startswith('block, forward')
    assert first.split() == ['fast', '100.000', '100.000', '-', '300.000', '1.00', '1.0']
    assert second.split()[-2] == '0.50'
    assert ratio == 'slow: 0.500 times as fast as fast, with 1.00 times the added memory'
