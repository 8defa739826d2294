"""RoIAlign's maxima and deformable RoI pooling, against formulas in float64 and against each other."""

import math

import pytest
import torch
from mmcv import ops
from torch.testing import assert_close

ROIS = torch.tensor([[0, 2.1, 1.7, 9.3, 8.2], [1, 1.2, 1.3, 7.7, 9.9], [0, -3.4, 5.1, 3.3, 14.2]], dtype=torch.float64)


def maps(height=12, width=10):
    return torch.randn(2, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def interpolated(features, y, x):
    """The value of a map at (y, x), which is clamped to the centers of the border's pixels; 0 a pixel beyond."""
    height, width = features.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return features.new_zeros(())
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = features[top, left] * (left + 1 - x) + features[top, right] * (x - left)
    lower = features[bottom, left] * (left + 1 - x) + features[bottom, right] * (x - left)
    return upper * (top + 1 - y) + lower * (y - top)


def max_formula(features, rois, size, sampling_ratio, aligned):
    """RoIAlign with max pooling, sample by sample."""
    pooled = features.new_zeros(len(rois), features.shape[1], size, size)
    shift = 0.5 if aligned else 0.0
    for r, (image, *corners) in enumerate(rois.tolist()):
        left, top, right, bottom = (corner - shift for corner in corners)
        width, height = (length if aligned else max(length, 1) for length in (right - left, bottom - top))
        down, across = (sampling_ratio or math.ceil(length / size) for length in (height, width))
        for c in range(features.shape[1]):
            for i in range(size):
                for j in range(size):
                    pooled[r, c, i, j] = max(
                        interpolated(
                            features[int(image), c],
                            top + (i + (y + 0.5) / down) * height / size,
                            left + (j + (x + 0.5) / across) * width / size,
                        )
                        for y in range(down)
                        for x in range(across)
                    )
    return pooled


class TestRoIAlignMax:
    @pytest.mark.parametrize('aligned', [True, False])
    @pytest.mark.parametrize('sampling_ratio', [0, 2])
    def test_equals_the_formula(self, aligned, sampling_ratio):
        x, reference = (maps().requires_grad_() for _ in range(2))
        expected = max_formula(reference, ROIS, 3, sampling_ratio, aligned)
        out = ops.roi_align(x, ROIS, 3, 1.0, sampling_ratio, 'max', aligned)
        assert_close(out, expected)
        gradient = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view_as(out)
        out.backward(gradient)
        expected.backward(gradient)
        assert_close(x.grad, reference.grad)

    def test_takes_channels_last_and_half_precision(self):
        x = maps().half().contiguous(memory_format=torch.channels_last).requires_grad_()
        out = ops.roi_align(x, ROIS.half(), 3, 1.0, 2, 'max', True)
        out.sum().backward()
        assert out.dtype == x.grad.dtype == torch.float16
        assert_close(out.double(), max_formula(maps(), ROIS, 3, 2, True), rtol=0.05, atol=0.05)

    def test_a_roi_without_area_is_zero_and_has_no_gradient(self):
        x = maps().requires_grad_()
        out = ops.roi_align(x, torch.tensor([[0, 4, 4, 4, 4.0]]).double(), 3, 1.0, 0, 'max', True)
        out.sum().backward()
        assert not out.any()
        assert not x.grad.any()

    def test_no_rois(self):
        assert ops.roi_align(maps(), ROIS[:0], 7, 1.0, 0, 'max', True).shape == (0, 3, 7, 7)


class TestDeformRoIPool:
    @pytest.mark.parametrize('sampling_ratio', [0, 2])
    def test_without_offsets_it_is_roi_align(self, sampling_ratio):
        expected = ops.roi_align(maps(), ROIS, (3, 2), 0.5, sampling_ratio, 'avg', True)
        assert_close(ops.deform_roi_pool(maps(), ROIS, None, (3, 2), 0.5, sampling_ratio, 0.1), expected)

    def test_an_offset_moves_its_bin_by_gamma_of_the_roi(self):
        roi, features = torch.tensor([[0, 2.0, 2.0, 6.0, 8.0]]).double(), maps()
        offset = torch.zeros(1, 2, 2, 2).double()
        offset[0, :, 0, 1] = torch.tensor([5.0, -2.5])  # x, y of the bin at the top right
        pooled = ops.deform_roi_pool(features, roi, offset, 2, 1.0, 2, 0.1)
        still = ops.roi_align(features, roi, 2, 1.0, 2, 'avg', True)
        moved = ops.roi_align(features, roi + torch.tensor([0, 2.0, -1.5, 2.0, -1.5]), 2, 1.0, 2, 'avg', True)
        assert_close(pooled[..., 0, 1], moved[..., 0, 1])
        assert_close(pooled[..., 1, :], still[..., 1, :])

    @pytest.mark.parametrize('sampling_ratio', [0, 2])
    def test_its_gradients_are_right_inside_of_the_map(self, sampling_ratio):
        generator = torch.Generator().manual_seed(2)
        offset = (torch.rand(2, 2, 3, 2, generator=generator, dtype=torch.float64) - 0.5).requires_grad_()

        def pool(x, offset):
            return ops.deform_roi_pool(x, ROIS[:2], offset, (3, 2), 1.0, sampling_ratio, 0.1)

        assert torch.autograd.gradcheck(pool, (maps(14, 14).requires_grad_(), offset))

    def test_the_gradient_of_an_offset_at_the_border_is_mmcvs(self):
        # One sample at y = -0.5, x = 0.5. mmcv's kernel extrapolates the slope along x: 1.5 * (2 - 1) - 0.5 * (5 - 3).
        features = torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]]], dtype=torch.float64)
        offset = torch.zeros(1, 2, 1, 1, dtype=torch.float64, requires_grad=True)
        roi = torch.tensor([[0, 0.5, -0.5, 1.5, 0.5]], dtype=torch.float64)
        ops.deform_roi_pool(features, roi, offset, 1, 1.0, 1, 1.0).backward()
        assert offset.grad[0, 0].item() == pytest.approx(0.5)

    @pytest.mark.parametrize('layer', [ops.DeformRoIPoolPack, ops.ModulatedDeformRoIPoolPack])
    def test_the_layers_train(self, layer):
        pool = layer((2, 2), 3, deform_fc_channels=8, sampling_ratio=2)
        pool(maps().float(), ROIS.float()).square().sum().backward()
        assert pool.offset_fc[-1].weight.grad.any()
