"""The operators against compiled mmcv's outputs, and against formulas in float64."""

import pytest
import torch
from mmcv import ops
from torch.testing import assert_close


def linear_gradient(output):
    """The output gradient that the reference file was made with."""
    return torch.linspace(-1, 1, output.numel()).view_as(output)


def close(actual, expected):
    assert_close(actual, expected, rtol=1e-4, atol=1e-5)


class TestNms:
    @pytest.mark.parametrize('offset', [0, 1])
    @pytest.mark.parametrize('threshold', [0.3, 0.5, 0.7])
    def test_equals_compiled(self, goldens, offset, threshold):
        dets, keep = ops.nms(goldens['boxes'], goldens['scores'], threshold, offset=offset)
        expected = f'nms_o{offset}_t{threshold}'
        assert torch.equal(keep, goldens[f'{expected}_keep'])
        assert_close(dets, goldens[f'{expected}_dets'], rtol=1e-6, atol=1e-6)

    def test_score_threshold_and_max_num_equal_compiled(self, goldens):
        dets, keep = ops.nms(goldens['boxes'], goldens['scores'], 0.5, score_threshold=0.4, max_num=20)
        assert torch.equal(keep, goldens['nms_st_keep'])
        assert_close(dets, goldens['nms_st_dets'], rtol=1e-6, atol=1e-6)

    def test_batched_equals_compiled(self, goldens):
        config = dict(type='nms', iou_threshold=0.5)
        dets, keep = ops.batched_nms(goldens['boxes'], goldens['scores'], goldens['ids'], config)
        assert torch.equal(keep, goldens['bnms_keep'])
        assert_close(dets, goldens['bnms_dets'], rtol=1e-6, atol=1e-6)

    def test_numpy_in_numpy_out(self, goldens):
        dets, keep = ops.nms(goldens['boxes'].numpy(), goldens['scores'].numpy(), 0.5)
        assert keep.tolist() == goldens['nms_o0_t0.5_keep'].tolist()
        assert dets.shape == (len(keep), 5)

    def test_half_precision_boxes(self):
        boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]]).half()
        _, keep = ops.nms(boxes, torch.tensor([0.5, 0.9, 0.1]).half(), 0.5)
        assert keep.tolist() == [1, 2]

    def test_no_boxes(self):
        dets, keep = ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
        assert dets.shape == (0, 5)
        assert keep.shape == (0,)
        assert keep.dtype == torch.long


class TestSoftNms:
    @pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
    def test_equals_compiled(self, goldens, method):
        dets, inds = ops.soft_nms(
            goldens['boxes'],
            goldens['scores'],
            iou_threshold=0.3,
            sigma=0.5,
            min_score=1e-3,
            method=method,
        )
        assert torch.equal(inds, goldens[f'softnms_{method}_inds'])
        assert_close(dets, goldens[f'softnms_{method}_dets'], rtol=1e-6, atol=1e-6)

    def test_no_boxes(self):
        dets, inds = ops.soft_nms(torch.zeros(0, 4), torch.zeros(0))
        assert dets.shape == (0, 5)
        assert inds.shape == (0,)

    @pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
    def test_boxes_without_area_are_kept(self, method):
        boxes = torch.tensor([[4.0, 3.0, 4.0, 3.0]]).repeat(3, 1)
        _, inds = ops.soft_nms(boxes, torch.tensor([0.9, 0.5, 0.4]), method=method)
        assert sorted(inds.tolist()) == [0, 1, 2]


class TestNmsMatch:
    def test_equals_compiled(self, goldens):
        dets = torch.cat([goldens['boxes'], goldens['scores'][:, None]], dim=1)
        groups = ops.nms_match(dets, 0.5)
        assert [len(group) for group in groups] == goldens['nms_match_len'].tolist()
        assert torch.equal(torch.cat(groups), goldens['nms_match_flat'].long())

    def test_no_boxes(self):
        assert ops.nms_match(torch.zeros(0, 5), 0.5) == []


class TestRoIAlign:
    @pytest.mark.parametrize('aligned', [True, False])
    @pytest.mark.parametrize('sampling_ratio', [0, 2])
    def test_equals_compiled(self, goldens, aligned, sampling_ratio):
        x = goldens['x'].clone().requires_grad_()
        out = ops.roi_align(x, goldens['rois'], 7, 0.25, sampling_ratio, 'avg', aligned)
        out.backward(linear_gradient(out))
        close(out.detach(), goldens[f'ra_a{aligned}_s{sampling_ratio}'])
        close(x.grad, goldens[f'ra_a{aligned}_s{sampling_ratio}_g'])

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
    def test_keeps_the_features_dtype(self, goldens, dtype):
        x = goldens['x'].to(dtype).requires_grad_()
        out = ops.roi_align(x, goldens['rois'], 7, 0.25, 2, 'avg', True)
        out.sum().backward()
        assert out.dtype == x.grad.dtype == dtype
        assert_close(out.float(), goldens['ra_aTrue_s2'], rtol=2e-2, atol=2e-2)

    def test_channels_last_features(self, goldens):
        x = goldens['x'].contiguous(memory_format=torch.channels_last)
        close(ops.roi_align(x, goldens['rois'], 7, 0.25, 2, 'avg', True), goldens['ra_aTrue_s2'])

    def test_no_rois(self, goldens):
        x = goldens['x'].clone().requires_grad_()
        out = ops.roi_align(x, torch.zeros(0, 5), 7, 0.25, 2, 'avg', True)
        out.sum().backward()
        assert out.shape == (0, 8, 7, 7)
        assert not x.grad.any()


def roi_pool_formula(x, rois, size, scale):
    """RoIPool as mmcv defines it: unrounded bins, widened to whole pixels."""
    height, width = x.shape[2:]
    pooled = []
    for image, x1, y1, x2, y2 in rois.tolist():
        left, top, right, bottom = x1 * scale, y1 * scale, (x2 + 1) * scale, (y2 + 1) * scale
        bins = x.new_zeros(x.shape[1], size, size)
        for i in range(size):
            for j in range(size):
                rows = torch.arange(height)
                rows = rows[
                    (rows >= int((top + i * (bottom - top) / size) // 1))
                    & (rows < -int(-(top + (i + 1) * (bottom - top) / size) // 1))
                ]
                columns = torch.arange(width)
                columns = columns[
                    (columns >= int((left + j * (right - left) / size) // 1))
                    & (columns < -int(-(left + (j + 1) * (right - left) / size) // 1))
                ]
                if len(rows) and len(columns):
                    bins[:, i, j] = x[int(image)][:, rows][:, :, columns].flatten(1).amax(1)
        pooled.append(bins)
    return torch.stack(pooled)


class TestRoIPool:
    # Quarter pixels, so that float32 and float64 agree on which pixel a bin's edge is in.
    rois = torch.tensor([[0, 4, 8, 83, 59], [1, -8, -4, 30, 21], [1, 100, 90, 190, 160.0]])

    def test_equals_the_formula(self, goldens):
        x = goldens['x'].double().requires_grad_()
        expected = roi_pool_formula(x, self.rois.double(), 4, 0.25)
        expected.backward(linear_gradient(expected))
        ours = goldens['x'].clone().requires_grad_()
        out = ops.roi_pool(ours, self.rois, 4, 0.25)
        out.backward(linear_gradient(out))
        close(out.double(), expected)
        close(ours.grad.double(), x.grad)

    def test_a_roi_outside_the_image_is_zero_and_has_no_gradient(self, goldens):
        x = goldens['x'].clone().requires_grad_()
        out = ops.roi_pool(x, torch.tensor([[0, 900, 900, 950, 950.0]]), 7, 0.25)
        out.sum().backward()
        assert not out.any()
        assert not x.grad.any()

    def test_no_rois(self, goldens):
        assert ops.roi_pool(goldens['x'], torch.zeros(0, 5), 7, 0.25).shape == (0, 8, 7, 7)


class TestFocalLoss:
    def sigmoid_formula(self, logits, target, weight):
        p = logits.sigmoid()
        positive = torch.nn.functional.one_hot(target, logits.shape[1] + 1)[:, :-1].bool()
        loss = torch.where(positive, -0.25 * (1 - p) ** 2 * p.log(), -0.75 * p**2 * (1 - p).log())
        return loss * weight[target][:, None]

    def test_sigmoid_equals_the_formula(self):
        logits = (4 * torch.randn(50, 5)).requires_grad_()
        target = torch.arange(50) % 6  # 5 is background
        weight = torch.rand(5)
        double = logits.detach().double().requires_grad_()
        expected = self.sigmoid_formula(double, target, torch.cat([weight, torch.ones(1)]))
        expected.mean().backward()
        loss = ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, weight, 'none')
        loss.mean().backward()
        close(loss.double(), expected)
        close(logits.grad.double(), double.grad)

    def test_sigmoid_of_extreme_logits_is_finite(self):
        logits = torch.tensor([[-200.0, 200.0]], requires_grad=True)
        ops.sigmoid_focal_loss(logits, torch.tensor([0]), 2.0, 0.25, None, 'sum').backward()
        assert logits.grad.isfinite().all()

    def test_softmax_equals_the_formula(self):
        logits = (4 * torch.randn(50, 5)).requires_grad_()
        target = torch.arange(50) % 5
        weight = torch.rand(5)
        double = logits.detach().double().requires_grad_()
        log_p = double.log_softmax(1).gather(1, target[:, None])[:, 0]
        expected = -0.25 * (1 - log_p.exp()) ** 2 * log_p * weight[target]
        expected.sum().backward()
        loss = ops.softmax_focal_loss(logits, target, 2.0, 0.25, weight, 'none')
        close(loss.double(), expected)
        ops.softmax_focal_loss(logits, target, 2.0, 0.25, weight, 'sum').backward()
        close(logits.grad.double(), double.grad)

    def test_no_rows(self):
        logits, target = torch.zeros(0, 5, requires_grad=True), torch.zeros(0, dtype=torch.long)
        loss = ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, None, 'sum')
        loss.backward()
        assert loss == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
class TestOnGpu:
    def test_roi_align_takes_bf16(self, goldens):
        x = goldens['x'].cuda().bfloat16().requires_grad_()
        out = ops.roi_align(x, goldens['rois'].cuda(), 7, 0.25, 2, 'avg', True)
        out.sum().backward()
        assert out.dtype == x.grad.dtype == torch.bfloat16
        assert_close(out.float().cpu(), goldens['ra_aTrue_s2'], rtol=2e-2, atol=2e-2)

    def test_nms_equals_compiled(self, goldens):
        _, keep = ops.nms(goldens['boxes'].cuda(), goldens['scores'].cuda(), 0.5)
        assert torch.equal(keep.cpu(), goldens['nms_o0_t0.5_keep'])
