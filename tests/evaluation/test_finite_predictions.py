"""A model that gives NaN has no score."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData
from torch import nn

from convnext_dense.errors import UsageError
from convnext_dense.evaluation.finite_predictions import FinitePredictionsHook, has_nan


class DenseHead(nn.Module):
    def forward(self, maps):
        return [maps.sqrt()], (maps, None)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.bbox_head = DenseHead()


@pytest.fixture
def runner():
    return SimpleNamespace(model=Model(), _load_from='epoch_3.pth')


class TestFinitePredictionsHook:
    def test_a_head_that_gives_nan_is_an_error_that_names_the_image(self, runner):
        hook = FinitePredictionsHook()
        hook.before_test(runner)
        samples = [BaseDataElement(metainfo=dict(img_path='a/1.jpg'))]
        runner.model.bbox_head(torch.ones(2))
        hook.after_test_iter(runner, 0, None, samples)
        runner.model.bbox_head(torch.tensor([1.0, -1.0]))
        with pytest.raises(
            UsageError, match=r'checkpoint epoch_3\.pth: its predictions for a/1\.jpg are NaN \(bbox_head\)'
        ):
            hook.after_test_iter(runner, 1, None, samples)

    def test_so_are_logits_of_nan(self, runner):
        sample = BaseDataElement(metainfo=dict(img_path='1.jpg'))
        sample.seg_logits = PixelData(data=torch.zeros(2, 4, 4))
        hook = FinitePredictionsHook()
        hook.after_test_iter(runner, 0, None, [sample])
        sample.seg_logits.data[1, 2, 3] = float('nan')
        with pytest.raises(UsageError, match='seg_logits'):
            hook.after_test_iter(runner, 0, None, [sample])


def test_infinities_and_whole_numbers_are_no_nan():
    assert not has_nan(torch.tensor([torch.inf, -torch.inf]))
    assert not has_nan(torch.tensor([1, 2]))
    assert has_nan(torch.tensor([1.0, torch.nan], dtype=torch.bfloat16))
