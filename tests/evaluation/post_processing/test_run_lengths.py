"""Run lengths of masks within their boxes, against pycocotools' of whole images."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures.mask import encode_mask_results

from convnext_dense.evaluation.post_processing.late_masks import encode


class TestEncode:
    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_gives_mmdets_bytes(self, data):
        size = data.draw(st.tuples(st.integers(0, 4), st.integers(1, 40), st.integers(1, 40)), label='masks')
        share = data.draw(st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]), label='share of 1s')
        rng = np.random.default_rng(data.draw(st.integers(0, 999), label='seed'))
        masks = rng.random(size) < share
        assert encode(torch.from_numpy(masks)) == encode_mask_results(masks)

    def test_long_runs_take_several_characters(self):
        masks = np.zeros((3, 1500, 2000), bool)
        masks[0, :, 700:1400] = masks[1, -1, -1] = masks[2, 40:1200:7, 900] = True
        assert encode(torch.from_numpy(masks)) == encode_mask_results(masks)

    @pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
    def test_other_types_are_encoded_as_mmdet_does(self, dtype):
        masks = torch.tensor([[[0, 1], [2, 2]]], dtype=dtype)
        assert encode(masks) == encode_mask_results(masks.numpy())
