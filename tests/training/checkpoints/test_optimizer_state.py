"""An optimizer's state in memory."""

import torch
from torch import nn

from convnext_dense.training.checkpoints.optimizer_state import lay_out_like_parameters


def test_averages_with_the_strides_of_their_weights_stay():
    weight = nn.Parameter(torch.rand(4, 3, 2, 2))
    optimizer = torch.optim.AdamW([weight])
    weight.square().sum().backward()
    optimizer.step()
    assert lay_out_like_parameters(optimizer) == 0
