"""mmseg's segmenters as this package makes them predict, against mmseg's own methods."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import ConfigDict
from mmseg.models import CascadeEncoderDecoder, DepthEstimator, EncoderDecoder
from mmseg.structures import SegDataSample
from torch import nn

from convnext_dense.compat import segmenting

SIDES = st.integers(1, 12)
FORMATS = st.sampled_from([torch.contiguous_format, torch.channels_last])


def logits_of(count, classes, height, width, memory_format, seed):
    """Few values, so that classes tie, and no negative zero, which a resize to the same size makes positive."""
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randint(-2, 3, (count, classes, height, width), generator=rng) / 3
    return logits.to(memory_format=memory_format)


def samples_of(count, padding, size, direction, key):
    metainfo = {'ori_shape': size, key: padding}
    metainfo |= dict(flip=True, flip_direction=direction) if direction else {}
    return [SegDataSample(metainfo=dict(metainfo)) for _ in range(count)]


class Sliding:
    """A segmenter whose logits follow from the pixels and, unless it is told otherwise, from the number of the call."""

    out_channels = 3

    def __init__(self, crop, stride, memory_format):
        self.test_cfg = ConfigDict(crop_size=crop, stride=stride)
        self.memory_format = memory_format
        self.seen = []
        self.counts_calls = True

    def encode_decode(self, inputs, metas):
        self.seen.append((inputs.clone(), metas[0]['img_shape']))
        logits = torch.cat([inputs.sin(), inputs.cos(), inputs * (len(self.seen) if self.counts_calls else 1)], 1) / 3
        return logits.to(memory_format=self.memory_format)


@given(
    classes=st.integers(1, 5),
    count=st.integers(1, 3),
    height=SIDES,
    width=SIDES,
    padding=st.tuples(*[st.integers(0, 3)] * 4),
    other_size=st.none() | st.tuples(SIDES, SIDES),
    direction=st.sampled_from([None, 'horizontal', 'vertical']),
    key=st.sampled_from(['padding_size', 'img_padding_size']),
    align_corners=st.booleans(),
    memory_format=FORMATS,
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=200, deadline=None)
def test_logits_and_label_maps_are_mmsegs(
    classes, count, height, width, padding, other_size, direction, key, align_corners, memory_format, seed
):
    left, right, top, bottom = padding
    logits = logits_of(count, classes, height + top + bottom, width + left + right, memory_format, seed)
    model = SimpleNamespace(align_corners=align_corners, test_cfg=None, decode_head=SimpleNamespace(threshold=0.5))
    ours, theirs = (
        method(model, logits.clone(), samples_of(count, list(padding), other_size or (height, width), direction, key))
        for method in (segmenting.postprocess_result, segmenting.mmseg_postprocess_result)
    )
    for sample, expected in zip(ours, theirs, strict=True):
        assert sample.keys() == expected.keys()
        for name in ('seg_logits', 'pred_sem_seg'):
            assert sample.get(name).data.dtype == expected.get(name).data.dtype
            assert torch.equal(sample.get(name).data, expected.get(name).data)


@pytest.mark.parametrize('classes', [1, 4])
def test_logits_without_samples_stay_as_they_are(classes):
    logits = torch.rand(2, classes, 3, 5)
    model = SimpleNamespace(test_cfg=None, decode_head=SimpleNamespace(threshold=0.5))
    ours, theirs = (
        method(model, logits) for method in (segmenting.postprocess_result, segmenting.mmseg_postprocess_result)
    )
    for sample, expected in zip(ours, theirs, strict=True):
        assert torch.equal(sample.seg_logits.data, expected.seg_logits.data)
        assert torch.equal(sample.pred_sem_seg.data, expected.pred_sem_seg.data)


@given(
    classes=st.integers(1, 5),
    sides=st.tuples(SIDES, SIDES),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=100, deadline=None)
def test_labels_found_first_are_those_nearest_to_each_pixel(classes, sides, size, seed):
    logits = logits_of(1, classes, *sides, torch.contiguous_format, seed)
    (sample,) = segmenting.postprocess_result(
        SimpleNamespace(test_cfg=dict(argmax_first=True), decode_head=SimpleNamespace(threshold=0.5)),
        logits,
        samples_of(1, [0] * 4, size, None, 'padding_size'),
    )
    labels = (logits.sigmoid() > 0.5) if classes == 1 else logits.argmax(1, keepdim=True)
    expected = nn.functional.interpolate(labels.float(), size=size, mode='nearest-exact')
    assert torch.equal(sample.pred_sem_seg.data.float(), expected[0])
    assert sample.seg_logits.data.shape == logits.shape[1:]


def test_a_segmenter_of_ones_own_needs_no_test_cfg():
    (sample,) = segmenting.postprocess_result(
        SimpleNamespace(align_corners=False), torch.rand(1, 4, 6, 5), [SegDataSample(metainfo=dict(ori_shape=(6, 5)))]
    )
    assert sample.pred_sem_seg.data.shape == (1, 6, 5)


def test_logits_of_the_images_size_are_not_copied():
    logits = torch.rand(1, 4, 6, 5)
    (sample,) = segmenting.postprocess_result(
        SimpleNamespace(align_corners=False, test_cfg=None), logits, [SegDataSample(metainfo=dict(ori_shape=(6, 5)))]
    )
    assert sample.seg_logits.data.data_ptr() == logits.data_ptr()


@given(
    classes=st.integers(2, 40),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float64]),
    memory_format=FORMATS,
    special=st.sampled_from([None, float('nan'), float('inf'), -float('inf')]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=100, deadline=None)
def test_the_first_of_the_highest_classes_is_found(classes, dtype, memory_format, special, seed):
    logits = logits_of(1, classes, 7, 9, memory_format, seed).to(dtype)
    if special is not None:
        logits[torch.rand(logits.shape, generator=torch.Generator().manual_seed(seed)) < 0.1] = special
    assert torch.equal(segmenting.find_labels(logits[0]), logits[0].argmax(0, keepdim=True))


@given(
    count=st.integers(1, 2),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    crop=st.tuples(SIDES, SIDES),
    stride=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    keeps_size=st.booleans(),
    memory_format=FORMATS,
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=100, deadline=None)
def test_windows_and_their_mean_are_mmsegs(count, size, crop, stride, keeps_size, memory_format, seed):
    images = torch.randn(count, 1, *size, generator=torch.Generator().manual_seed(seed))
    ours, theirs = (Sliding(crop, stride, memory_format) for _ in range(2))
    try:
        expected = segmenting.mmseg_slide_inference(theirs, images, [{}] * count)
    except AssertionError:
        # mmseg's, of pixels in no window.
        with pytest.raises(ValueError, match='leave gaps'):
            segmenting.slide_inference(ours, images, [{}] * count)
        return
    metas = [dict(ori_shape=size if keeps_size else (99, 9)) for _ in range(count)]
    logits = segmenting.slide_inference(ours, images, metas)
    assert torch.equal(logits, expected)
    # A resize rounds differently in another memory format.
    assert keeps_size or logits.is_contiguous()
    for (window, shape), (expected_window, expected_shape) in zip(ours.seen, theirs.seen, strict=True):
        assert torch.equal(window, expected_window)
        assert shape == expected_shape


@given(
    count=st.integers(1, 2),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    together=st.integers(1, 9),
)
@settings(max_examples=50, deadline=None)
def test_windows_in_batches_have_the_same_mean(count, size, together):
    images = torch.rand(count, 1, *size)
    metas = [dict(ori_shape=size, number=i) for i in range(count)]
    alone, batched = (Sliding((7, 5), (4, 5), torch.contiguous_format) for _ in range(2))
    alone.counts_calls = batched.counts_calls = False
    batched.test_cfg.windows_per_batch = together
    expected = segmenting.slide_inference(alone, images, metas)
    assert torch.equal(segmenting.slide_inference(batched, images, metas), expected)
    assert max(len(windows) for windows, _ in batched.seen) <= together * count
    assert len(batched.seen) == -(-len(alone.seen) // together)


@pytest.mark.parametrize('together', [0, -1, 2.5, '2', None])
def test_batches_of_no_whole_number_of_windows_are_refused(together):
    model = Sliding((4, 4), (4, 4), torch.contiguous_format)
    model.test_cfg.windows_per_batch = together
    with pytest.raises(ValueError, match='windows_per_batch: it must be a whole number of at least 1; got '):
        segmenting.slide_inference(model, torch.rand(1, 1, 8, 8), [{}])


def test_windows_that_leave_gaps_are_refused():
    with pytest.raises(ValueError, match='stride: windows of 4 pixels every 6 leave gaps in images of 20'):
        segmenting.slide_inference(Sliding((4, 4), (6, 4), torch.contiguous_format), torch.rand(1, 1, 20, 8), [{}])


def test_mmsegs_segmenters_have_these_methods():
    for kind in (EncoderDecoder, CascadeEncoderDecoder):
        assert kind.slide_inference is segmenting.slide_inference
        assert kind.postprocess_result is segmenting.postprocess_result
    assert DepthEstimator.postprocess_result is not segmenting.postprocess_result


def test_gradients_pass_through_windows():
    images = torch.rand(1, 1, 6, 6, requires_grad=True)
    gradients = []
    for method in (segmenting.slide_inference, segmenting.mmseg_slide_inference):
        logits = method(Sliding((4, 4), (2, 2), torch.contiguous_format), images, [{}])
        gradients.append(torch.autograd.grad(nn.functional.mse_loss(logits, torch.zeros_like(logits)), images)[0])
    torch.testing.assert_close(*gradients)
