"""Cropped masks are the masks that they were made of, and so is COCO's encoding of them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco_mask

from convnext_dense.results.masks import CroppedMasks, choose, crop, encode

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@settings(max_examples=100)
@given(mask=MASKS)
def test_a_mask_is_the_same_cropped_and_encoded(mask):
    part = crop(mask)
    assert np.array_equal(part.whole(mask.shape), mask)
    assert np.array_equal(coco_mask.decode(encode(part, mask.shape)).astype(bool), mask)
    expected = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encode(part, mask.shape) == dict(size=list(mask.shape), counts=expected['counts'].decode())


def test_some_are_chosen():
    dense = np.random.default_rng(0).random((3, 5, 4)) > 0.5
    masks = CroppedMasks((5, 4), [crop(mask) for mask in dense])
    kept = np.array([True, False, True])
    assert np.array_equal(np.asarray(choose(masks, kept)), choose(dense, kept))
    assert np.array_equal(np.asarray(masks, np.uint8), dense)
    assert len(np.asarray(CroppedMasks((5, 4), []))) == 0
