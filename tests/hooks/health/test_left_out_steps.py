"""Steps whose gradients, scales or statistics are not finite, and how they are left out."""

import math
import re

import pytest
import torch
from helpers.toy_runs import SkippingOptimWrapper, ToyModel, saved, train_toy, weight_after
from mmengine.structures import BaseDataElement
from torch import nn

from convnext_dense.errors import RunError
from convnext_dense.hooks import DivergenceHook
from convnext_dense.hooks.health.divergence_hook import MAX_SKIPPED_STEPS

NAN, INF = math.nan, math.inf


class GradientModel(ToyModel):
    """Its loss is finite in the steps whose factor is NaN; the gradient of the second weight is not."""

    def __init__(self, factors):
        super().__init__(factors)
        self.second = nn.Linear(1, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        losses = super().forward(inputs, data_samples, mode)
        if not losses['loss_cls'].isfinite():
            # The derivative of a root at 0.
            bias = self.second.bias
            losses = dict(loss_cls=self.layer.weight.sum() + (bias - bias.detach()).sqrt().sum())
        return losses


class TestGradients:
    @pytest.mark.parametrize('clip', [None, dict(max_norm=1.0)], ids=['plain', 'clipped'])
    def test_names_the_parameter_whose_gradient_is_infinite(self, tmp_path, monkeypatch, clip):
        monkeypatch.setattr('helpers.toy_runs.ToyModel', GradientModel)
        shown = train_toy(tmp_path, [DivergenceHook()], factors=[1, NAN], clip_grad=clip)
        assert re.search(
            r'step 2 was left out: a gradient is not finite, of a loss of -?[\d.]+, at step 2; the outputs of all '
            r'modules are finite; the gradients of 1 of 2 parameters are not finite, in parameter group 0 '
            r'\(second\.bias\)',
            shown,
        )

    def test_accumulated_ones_are_left_out_together(self, tmp_path):
        shown = train_toy(tmp_path, [DivergenceHook()], factors=[NAN, 1, 1, 1], accumulative_counts=2)
        assert 'step 1 was left out: loss_cls is nan at step 1;' in shown
        assert weight_after(tmp_path) == pytest.approx(0.01 - 0.1)

    def test_the_bad_step_among_accumulated_ones_is_named(self, tmp_path, monkeypatch):
        monkeypatch.setattr('helpers.toy_runs.ToyModel', GradientModel)
        samples = [BaseDataElement(metainfo=dict(img_path=f'{i}.jpg')) for i in range(8)]
        shown = train_toy(tmp_path, [DivergenceHook()], factors=[1, 1, NAN, 1], accumulative_counts=4, samples=samples)
        assert 'at step 3; images 4.jpg, 5.jpg;' in shown


class ScalingOptimWrapper(SkippingOptimWrapper):
    """Has a loss scaler, as AmpOptimWrapper has on a GPU."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=2.0**127)

    def backward(self, loss, **kwargs):
        self.loss_scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs):
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update()


class TestLossScaler:
    def test_a_scale_that_is_too_large_is_normal(self, tmp_path):
        hook = DivergenceHook(in_a_row=1)
        # The first scale makes the gradient infinite, and the next one does not.
        shown = train_toy(tmp_path, [hook], factors=[2, 1, 1, 1], wrapper=ScalingOptimWrapper)
        assert hook.skipped == 0
        assert 'left out' not in shown
        assert weight_after(tmp_path) == pytest.approx(0.01 - 0.3)

    def test_a_loss_of_nan_is_not(self, tmp_path):
        shown = train_toy(tmp_path, [DivergenceHook()], factors=[0.1, NAN, 1, 1], wrapper=ScalingOptimWrapper)
        assert 'step 2 was left out: loss_cls is nan at step 2;' in shown

    def test_ends_when_no_scale_helps(self, tmp_path):
        hook = DivergenceHook()
        hook._scaler_skips = MAX_SKIPPED_STEPS - 1
        with pytest.raises(RunError, match=f'the loss scaler has left out {MAX_SKIPPED_STEPS} updates in a row'):
            train_toy(tmp_path, [hook], factors=[2], wrapper=ScalingOptimWrapper)


class TestWrappersThatSkip:
    """An optimizer's wrapper may leave out steps on its own."""

    def test_are_warned_of_once(self, tmp_path):
        factors = [1, INF, 1, INF]
        shown = train_toy(tmp_path, [DivergenceHook()], factors=factors, wrapper=SkippingOptimWrapper)
        assert shown.count('loss_cls is') == 1
        assert len(saved(tmp_path)) == 4

    def test_end_training_when_all_steps_are_skipped(self, tmp_path):
        hook = DivergenceHook()
        hook._noted = MAX_SKIPPED_STEPS - 2
        with pytest.raises(RunError, match=f'at step 2 and the {MAX_SKIPPED_STEPS - 1} steps before'):
            train_toy(tmp_path, [hook], factors=[INF] * 4, wrapper=SkippingOptimWrapper)


class NormModel(ToyModel):
    """Has a batch norm, which reads the factor."""

    def __init__(self, factors):
        super().__init__(factors)
        self.norm = nn.BatchNorm1d(1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        losses = super().forward(inputs, data_samples, mode)
        losses['loss_norm'] = self.norm(losses['loss_cls'].reshape(1, 1).expand(2, 1)).sum()
        return losses


class TestNormStatistics:
    def test_are_those_before_a_step_that_is_left_out(self, tmp_path, monkeypatch):
        monkeypatch.setattr('helpers.toy_runs.ToyModel', NormModel)
        train_toy(tmp_path, [DivergenceHook()], factors=[1, NAN, 1, 1])
        assert len(saved(tmp_path)) == 4
        content = torch.load(tmp_path / 'iter_4.pth', weights_only=False)['state_dict']
        assert content['norm.num_batches_tracked'] == 3
