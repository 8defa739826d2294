"""Trainings that diverge."""

import math

import pytest
import torch
from helpers.toy_runs import SkippingOptimWrapper, ToyModel, toy_runner, train_toy
from torch import nn

from convnext_dense.errors import RunError, UsageError
from convnext_dense.hooks import DivergenceHook
from convnext_dense.hooks.health.divergence_hook import MAX_SKIPPED_STEPS, find_non_finite


def saved(work_dir):
    """Return the names of the checkpoints, which must all be finite."""
    files = sorted(work_dir.glob('*.pth'))
    for file in files:
        assert all(tensor.isfinite().all() for tensor in torch.load(file, weights_only=False)['state_dict'].values())
    return [file.name for file in files]


class TestDivergenceHook:
    @pytest.mark.parametrize('factor', [math.nan, math.inf])
    def test_ends_with_step_loss_and_what_may_help(self, tmp_path, factor):
        with pytest.raises(RunError) as raised:
            train_toy(tmp_path, [DivergenceHook()], factors=[1, 1, factor])
        message = str(raised.value)
        assert 'training diverged: loss_cls is' in message
        assert 'at step 3' in message
        assert 'layer.weight' in message
        assert 'optim_wrapper.optimizer.lr, which is 0.1 now' in message
        assert 'optim_wrapper.clip_grad=dict(max_norm=1.0)' in message
        assert message.endswith(f'The last checkpoint is {tmp_path}/iter_2.pth.')
        assert saved(tmp_path) == ['iter_1.pth', 'iter_2.pth']
        (log,) = tmp_path.rglob('*.log')
        assert message in log.read_text()

    def test_saves_no_weights_that_only_the_update_broke(self, tmp_path):
        # The loss of the second step is finite, and its gradient times the rate is not.
        with pytest.raises(RunError, match=r'NaN or infinite values are in layer\.weight after step 2'):
            train_toy(tmp_path, [DivergenceHook()], factors=[0, 1e38], lr=10.0)
        assert saved(tmp_path) == ['iter_1.pth']

    def test_keeps_the_good_epochs(self, tmp_path):
        with pytest.raises(RunError, match='at step 4'):
            train_toy(tmp_path, [DivergenceHook()], factors=[1, 1, 1, math.nan], by_epoch=True)
        assert saved(tmp_path) == ['epoch_1.pth']

    def test_does_not_advise_clipping_that_is_there(self, tmp_path):
        with pytest.raises(RunError) as raised:
            train_toy(tmp_path, [DivergenceHook()], factors=[math.nan], clip_grad=dict(max_norm=1.0))
        assert 'clip_grad' not in str(raised.value)
        assert 'No checkpoint was saved' in str(raised.value)

    def test_warns_once_of_steps_that_a_loss_scaler_skips(self, tmp_path):
        factors = [1, math.inf, 1, math.inf]
        shown = train_toy(tmp_path, [DivergenceHook()], factors=factors, wrapper=SkippingOptimWrapper)
        assert shown.count('loss_cls is') == 1
        assert len(saved(tmp_path)) == 4

    def test_ends_when_all_steps_are_skipped(self, tmp_path):
        hook = DivergenceHook()
        hook._skipped = MAX_SKIPPED_STEPS - 2
        with pytest.raises(RunError, match=f'at step 2 and the {MAX_SKIPPED_STEPS - 1} steps before'):
            train_toy(tmp_path, [hook], factors=[math.inf] * 4, wrapper=SkippingOptimWrapper)

    def test_costs_no_look_at_the_weights_while_all_is_well(self, tmp_path, monkeypatch):
        looks = []
        monkeypatch.setattr(
            'convnext_dense.hooks.health.divergence_hook.find_non_finite', lambda model: looks.append(1) or []
        )
        runner = toy_runner(tmp_path, [DivergenceHook()])
        next(hook for hook in runner.hooks if hasattr(hook, 'save_best')).interval = -1
        runner.train()
        # At the start, before the last step is saved, and at the end.
        assert len(looks) == 3

    def test_weights_that_are_nan_at_the_start_are_a_mistake(self, tmp_path):
        runner = toy_runner(tmp_path, [DivergenceHook()])
        nn.init.constant_(runner.model.layer.bias, math.nan)
        with pytest.raises(UsageError, match=r'the weights at the start: NaN or infinite values are in layer\.bias'):
            runner.train()


class TestFindNonFinite:
    def test_looks_at_weights_and_running_statistics_alone(self):
        model = nn.Sequential(nn.BatchNorm2d(2), ToyModel())
        # An attention mask is full of them.
        model.register_buffer('mask', torch.full((2,), -math.inf))
        assert find_non_finite(model) == []
        model[0].running_var[1] = math.inf
        assert find_non_finite(model) == ['0.running_var']
