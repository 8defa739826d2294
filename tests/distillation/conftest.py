"""A folder of images, a teacher of random weights, and the call of a short distillation."""

import functools

import cv2
import numpy as np
import pytest
import timm
import torch
from helpers.commands import run_command
from helpers.distillations import ARGUMENTS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with eight images of blobs in `images`, and a teacher's weights in `teacher.pth`."""
    generator = np.random.default_rng(0)
    (tmp_path / 'images' / 'more').mkdir(parents=True)
    for i in range(8):
        noise = generator.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        place = tmp_path / 'images' / ('more' if i > 5 else '') / f'{i}.png'
        cv2.imwrite(str(place), cv2.resize(noise, (80, 60), interpolation=cv2.INTER_CUBIC))
    torch.manual_seed(0)
    torch.save(timm.create_model('test_vit').state_dict(), tmp_path / 'teacher.pth')
    monkeypatch.setattr('convnext_dense.distillation.recipe.WORKERS', 0)
    return tmp_path


@pytest.fixture
def distill(folder):
    """Run `convnext-dense distill` for two epochs of two steps, or as other options say, into `run`."""
    return functools.partial(run_command, folder, 'distill', *ARGUMENTS)
