"""What modules count while they train comes back with a checkpoint."""

import torch
from torch import nn

from convnext_dense.training.resuming.module_state import changed_attributes, note_attributes, set_attributes


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.count, self.history, self.size = 0, [], (32, 32)
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs):
        self.count += 1
        self.history.append(0.5)
        self.size = (64, 64)
        return self.layer(inputs)


def model():
    return nn.Sequential(Counting(), nn.ReLU())


def test_what_changes_is_found_and_set():
    trained, other = model(), model()
    note_attributes(trained)
    trained(torch.zeros(1, 1))
    changed = changed_attributes(trained)
    assert changed == {'0': dict(count=1, history=[0.5], size=(64, 64))}
    set_attributes(other, changed)
    assert (other[0].count, other[0].history, other[0].size) == (1, [0.5], (64, 64))


def test_the_mode_is_no_part_of_it():
    trained = model()
    note_attributes(trained)
    assert changed_attributes(trained.eval()) == {}


def test_a_method_is_not_replaced():
    own = model()
    set_attributes(own, {'0': dict(forward='x'), 'no such module': dict(count=1)})
    assert own(torch.zeros(1, 1)).shape == (1, 1)
