"""Values that are not finite."""

import math

import torch
from helpers.toy_runs import ToyModel
from torch import nn

from convnext_dense.training.steps.finite import are_finite, find_non_finite


class TestFindNonFinite:
    def test_looks_at_weights_and_running_statistics_alone(self):
        model = nn.Sequential(nn.BatchNorm2d(2), ToyModel())
        # An attention mask is full of them.
        model.register_buffer('mask', torch.full((2,), -math.inf))
        assert find_non_finite(model) == []
        model[0].running_var[1] = math.inf
        assert find_non_finite(model) == ['0.running_var']


class TestAreFinite:
    def test_is_true_for_values_whose_squares_are_not(self):
        assert are_finite([torch.tensor([1e30, -3e38]), torch.tensor([])])

    def test_is_false_for_any_value_that_is_not(self):
        for bad in (math.nan, math.inf, -math.inf):
            for dtype in (torch.float32, torch.bfloat16, torch.float16):
                assert not are_finite([torch.ones(5, dtype=dtype), torch.tensor([1, bad, 2], dtype=dtype)])

    def test_looks_at_sparse_gradients(self):
        embedding = nn.Embedding(4, 2, sparse=True)
        (embedding(torch.tensor([1, 1])) * math.inf).sum().backward()
        assert not are_finite([embedding.weight.grad])
