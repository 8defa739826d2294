"""mmengine's `activation_checkpointing` trains what it recomputes."""

import torch
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from torch import nn


def test_a_recomputed_backbone_gets_its_gradients():
    # Its input is an image, which has no gradient.
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model(torch.ones(1, 2)).sum().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    turn_on_activation_checkpointing(model, ['0'])
    model(torch.ones(1, 2)).sum().backward()
    assert all(torch.equal(parameter.grad, grad) for parameter, grad in zip(model.parameters(), expected, strict=True))
