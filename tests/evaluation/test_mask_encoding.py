"""The run-length encoding by tensor operations, against pycocotools'."""

import numpy as np
import pytest
import torch
from pycocotools.mask import encode

import convnext_dense.evaluation.mask_encoding as mask_encoding
from convnext_dense.evaluation.mask_encoding import encode_masks, encode_on_device


def pycocotools(masks):
    return [encode(np.asfortranarray(mask)) for mask in masks.to(torch.uint8).numpy()]


def rectangle(top, bottom, left, right):
    mask = torch.zeros(1, 37, 53, dtype=torch.bool)
    mask[:, top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    'masks',
    [
        pytest.param(torch.zeros(2, 20, 30, dtype=torch.bool), id='empty'),
        pytest.param(torch.ones(2, 30, 20, dtype=torch.bool), id='full'),
        pytest.param(torch.eye(12, dtype=torch.bool).view(12, 4, 3), id='one pixel'),
        pytest.param(rectangle(5, 20, 8, 30), id='inside'),
        pytest.param(rectangle(0, 20, 0, 30), id='at the top left'),
        pytest.param(rectangle(5, 37, 8, 53), id='at the bottom right'),
        pytest.param(rectangle(0, 37, 8, 30), id='from top to bottom'),
        pytest.param(rectangle(5, 20, 0, 53), id='from left to right'),
        pytest.param(torch.zeros(0, 20, 30, dtype=torch.bool), id='no masks'),
        pytest.param(torch.zeros(2, 0, 30, dtype=torch.bool), id='no rows'),
        pytest.param(torch.ones(1, 1, 1, dtype=torch.bool), id='one by one'),
    ],
)
@pytest.mark.parametrize('encode', [encode_masks, encode_on_device])
def test_a_mask_is_encoded_as_by_pycocotools(masks, encode):
    assert encode(masks) == pycocotools(masks)


@pytest.mark.parametrize('density', [0.001, 0.1, 0.5, 0.99])
@pytest.mark.parametrize('shape', [(7, 61, 43), (3, 1, 200), (3, 200, 1), (2, 1100, 900)])
def test_random_masks_are_encoded_as_by_pycocotools(density, shape):
    masks = torch.rand(shape) < density
    assert encode_on_device(masks) == pycocotools(masks)


def test_a_view_that_is_not_contiguous_is_encoded_and_stays():
    masks = (torch.rand(40, 30, 5) < 0.3).permute(2, 0, 1)
    before = masks.clone()
    assert encode_on_device(masks) == pycocotools(masks)
    assert masks.equal(before)


def test_many_masks_are_encoded_in_chunks(monkeypatch):
    monkeypatch.setattr(mask_encoding, 'CHUNK', 3 * 20 * 30)
    masks = torch.rand(10, 20, 30) < 0.4
    assert encode_on_device(masks) == pycocotools(masks)


def test_noise_is_left_to_pycocotools(monkeypatch):
    monkeypatch.setattr(mask_encoding, 'CHUNK', 2 * 20 * 30)
    monkeypatch.setattr(mask_encoding, 'RUNS', 300)
    masks = torch.cat([torch.rand(2, 20, 30) < 0.5, torch.ones(2, 20, 30, dtype=torch.bool)])
    runs, by_operations = [], mask_encoding._run_lengths
    monkeypatch.setattr(mask_encoding, '_run_lengths', lambda ends: runs.append(int(ends.sum())) or by_operations(ends))
    assert encode_on_device(masks) == pycocotools(masks)
    # An empty run of zeros, and one of ones.
    assert runs == [4]


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_masks_on_a_gpu_are_encoded_there():
    masks = torch.rand(20, 300, 400) < 0.3
    assert encode_masks(masks.cuda()) == pycocotools(masks)


def test_soft_masks_are_encoded_as_mmdet_does():
    masks = torch.rand(3, 20, 30) < 0.3
    assert encode_masks(masks.float()) == pycocotools(masks)
