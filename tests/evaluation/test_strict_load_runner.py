"""Checkpoints that lack weights of the model."""

import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from convnext_dense.errors import CheckpointError
from convnext_dense.evaluation.strict_load_runner import StrictLoadRunner


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 3)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return inputs


@pytest.fixture
def runner(tmp_path):
    return StrictLoadRunner(Model(), str(tmp_path), experiment_name=str(tmp_path))


class TestStrictLoadRunner:
    def test_a_whole_checkpoint_loads(self, runner, save):
        weights = {name: torch.ones_like(tensor) for name, tensor in runner.model.state_dict().items()}
        weights.pop('norm.num_batches_tracked')
        runner.load_checkpoint(save(dict(state_dict=weights)))
        assert runner.model.head.weight.unique() == 1

    @pytest.mark.parametrize('name', ['head.weight', 'norm.running_mean'])
    def test_a_missing_tensor_is_an_error(self, runner, save, name):
        weights = runner.model.state_dict()
        weights.pop(name)
        with pytest.raises(CheckpointError, match=f'lacks, or has in another shape, {name}'):
            runner.load_checkpoint(save(weights))

    def test_another_shape_is_an_error(self, runner, save):
        weights = {**runner.model.state_dict(), 'head.bias': torch.ones(5)}
        with pytest.raises(CheckpointError, match=r'is no checkpoint of this model: .* head\.bias; test it'):
            runner.load_checkpoint(save(weights))

    def test_the_model_may_be_wrapped(self, runner, save):
        weights = runner.model.state_dict()
        runner.model = nn.DataParallel(runner.model)
        runner.load_checkpoint(save(weights))
        weights.pop('head.bias')
        with pytest.raises(CheckpointError, match=r'head\.bias'):
            runner.load_checkpoint(save(weights))
