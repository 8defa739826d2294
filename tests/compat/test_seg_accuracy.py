"""The accuracy of a step is mmseg's, to the last bit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmseg.models.decode_heads import decode_head
from mmseg.models.losses import accuracy as mmseg_accuracy

from convnext_dense.compat.seg_accuracy import accuracy


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.sampled_from((0.0, 0.3, 1.0)))
def test_is_mmsegs(seed, images, height, width, ignored):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, 4, height, width, generator=generator)
    target = torch.randint(0, 4, (images, height, width), generator=generator)
    target[torch.rand(target.shape, generator=generator) < ignored] = 255
    expected = mmseg_accuracy(logits, target, ignore_index=255)
    found = accuracy(logits, target, ignore_index=255)
    assert found.shape == expected.shape
    assert found.item() == expected.item()


@pytest.mark.parametrize('arguments', [dict(), dict(topk=(1, 2)), dict(thresh=0.5)])
def test_other_arguments_are_mmsegs_own(arguments):
    logits, target = torch.randn(6, 4), torch.randint(0, 4, (6,))
    found, expected = (function(logits, target, **arguments) for function in (accuracy, mmseg_accuracy))
    assert str(found) == str(expected)


def test_heads_log_it():
    assert decode_head.accuracy is accuracy
