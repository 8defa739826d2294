"""What the tests of checkpoints share."""

import pytest
import torch


@pytest.fixture
def save(tmp_path):
    """Save a checkpoint as its publisher does, and return its path."""

    def save_as(content, name='weights.pth'):
        torch.save(content, tmp_path / name)
        return str(tmp_path / name)

    return save_as
