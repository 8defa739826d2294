"""Operators of a fixed size give what PyTorch's give, in PyTorch and in ONNX."""

import doctest

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops import batched_nms
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from mmengine.config import ConfigDict
from torch import nn
from torchvision.ops import deform_conv2d

from convnext_dense.export.graphs.boxes import highest, keep_best, take
from convnext_dense.export.graphs.pasting import paste
from convnext_dense.export.graphs.pooling import AdaptiveAveragePool
from convnext_dense.export.graphs.windows import Windows
from convnext_dense.export.operators.onnx_forms import OPSET, onnx_forms
from convnext_dense.export.operators.pyramid_pooling import pool_regions
from convnext_dense.export.operators.resizing import resize
from convnext_dense.export.operators.suppression import suppress
from convnext_dense.export.tracing import quiet_export


def random_boxes(generator, *shape):
    corners = torch.rand(*shape, 2, generator=generator) * 60
    return torch.cat([corners, corners + torch.rand(*shape, 2, generator=generator) * 30 + 1], -1)


def run_in_onnx(function, inputs, sizes):
    """Return what a function gives in ONNX Runtime."""

    class Graph(nn.Module):
        def forward(self, *parts):
            return function(*parts)

    with quiet_export():
        program = torch.export.export(Graph(), inputs, dynamic_shapes=(sizes,), strict=False)
        exported = torch.onnx.export(program, dynamo=True, opset_version=OPSET, custom_translation_table=onnx_forms())
    onnx.checker.check_model(exported.model_proto)
    session = onnxruntime.InferenceSession(exported.model_proto.SerializeToString())
    names = [entry.name for entry in session.get_inputs()]
    return lambda *parts: session.run(None, dict(zip(names, (part.numpy() for part in parts), strict=True)))[0]


@pytest.mark.parametrize('operator', [suppress, pool_regions, resize])
def test_examples_of_operators_run(operator):
    function = operator._init_fn
    runner = doctest.DocTestRunner()
    tests = doctest.DocTestFinder().find(function, operator._name, globs=dict(function.__globals__))
    for test in tests:
        runner.run(test)
    assert tests and runner.summarize().failed == 0


class TestKeepBest:
    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 2**31),
        count=st.integers(0, 40),
        most=st.integers(1, 30),
        threshold=st.sampled_from([0.0, 0.3, 0.9]),
        agnostic=st.booleans(),
    )
    def test_is_what_batched_nms_keeps(self, seed, count, most, threshold, agnostic):
        generator = torch.Generator().manual_seed(seed)
        boxes, scores = random_boxes(generator, 2, count + 1), torch.rand(2, count + 1, generator=generator)
        labels = torch.randint(0, 3, (2, count + 1), generator=generator)
        config = ConfigDict(type='nms', iou_threshold=0.5, class_agnostic=agnostic)
        values, places = keep_best(boxes, scores, labels, config, threshold, most)
        for i in range(2):
            valid = scores[i] > threshold
            if not valid.any():
                assert (values[i] < 0).all()
                continue
            expected, kept = batched_nms(boxes[i, valid], scores[i, valid], labels[i, valid], config)
            expected = expected[:most]
            found = values[i] >= 0
            assert found.sum() == len(expected)
            assert torch.equal(values[i][found], expected[:, 4])
            assert torch.equal(take(boxes, places)[i][found], expected[:, :4])
            assert torch.equal(labels[i][places[i][found]], labels[i, valid][kept[:most]])


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 50), most=st.integers(1, 60), seed=st.integers(0, 999))
def test_the_highest_are_those_of_topk(count, most, seed):
    scores = torch.rand(2, count, generator=torch.Generator().manual_seed(seed))
    values, places = highest(scores, most)
    few = min(count, most)
    assert torch.equal(values[:, :few], scores.topk(few).values)
    assert torch.equal(scores.gather(1, places[:, :few]), values[:, :few])
    assert (values[:, few:] == -1).all()


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), rows=st.integers(1, 7), columns=st.integers(1, 7))
def test_adaptive_pools_are_pytorchs(height, width, rows, columns):
    maps = torch.rand(2, 3, height, width)
    expected = nn.AdaptiveAvgPool2d((rows, columns))(maps)
    torch.testing.assert_close(AdaptiveAveragePool((rows, columns))(maps), expected)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(4, 50), width=st.integers(4, 50), crop=st.integers(4, 30), stride=st.integers(1, 30))
def test_windows_cover_an_image_once_or_more(height, width, crop, stride):
    stride = min(stride, crop)
    images = torch.rand(2, 3, height, width)
    windows = Windows((height, width), (crop, crop), (stride, stride))
    parts = windows.split(images)
    # As many as mmseg's loops have.
    counts = [max(side - crop + stride - 1, 0) // stride + 1 for side in (height, width)]
    assert parts.shape == (2 * counts[0] * counts[1], 3, min(crop, height), min(crop, width))
    torch.testing.assert_close(windows.merge(parts, 2), images)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_pasted_masks_are_mmdets(seed):
    generator = torch.Generator().manual_seed(seed)
    masks, boxes = torch.rand(3, 28, 28, generator=generator), random_boxes(generator, 3)
    expected, _ = _do_paste_mask(masks[:, None], boxes, 80, 96, skip_empty=False)
    torch.testing.assert_close(paste(masks[None], boxes[None], (80, 96))[0], expected, atol=1e-5, rtol=1e-5)


class TestInONNX:
    def test_suppression_is_that_of_pytorch_image_by_image(self):
        generator = torch.Generator().manual_seed(0)

        def example(images, count):
            return random_boxes(generator, images, count), torch.rand(images, count, generator=generator)

        dims = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
        run = run_in_onnx(lambda b, s: suppress(b, s, 0.4, 0.2, 12), example(2, 30), (dims, dims))
        for images, count in ((1, 5), (3, 60), (2, 200)):
            inputs = example(images, count)
            assert np.array_equal(run(*inputs), suppress(*inputs, 0.4, 0.2, 12).numpy())
        # None is above the threshold.
        boxes, scores = example(2, 7)
        assert (run(boxes, scores * 0.1) == -1).all()

    def test_regions_are_pooled_from_their_levels(self):
        generator = torch.Generator().manual_seed(0)
        levels = [torch.rand(2, 4, side, side, generator=generator) for side in (24, 12)]

        def example(count):
            images = torch.randint(0, 2, (count, 1), generator=generator).float()
            regions = torch.cat([images, random_boxes(generator, count)], 1)
            return regions, torch.randint(0, 2, (count,), generator=generator)

        def pool(regions, chosen):
            return pool_regions(levels, regions, chosen, [0.25, 0.125], 7, 0)

        dims = {0: torch.export.Dim.DYNAMIC}
        run = run_in_onnx(pool, example(5), (dims, dims))
        for count in (2, 9):
            inputs = example(count)
            np.testing.assert_allclose(run(*inputs), pool(*inputs).numpy(), atol=1e-5)

    # The newest for Python 3.10.
    @pytest.mark.skipif(onnxruntime.__version__.startswith('1.23.'), reason='ONNX Runtime 1.23 has no DeformConv')
    def test_deformable_convolutions_are_standard_ones(self):
        generator = torch.Generator().manual_seed(0)
        weight, bias = torch.rand(6, 4, 3, 3, generator=generator), torch.rand(6, generator=generator)

        def example():
            return (
                torch.rand(2, 4, 9, 8, generator=generator),
                torch.randn(2, 18, 9, 8, generator=generator),
                torch.rand(2, 9, 9, 8, generator=generator),
            )

        def convolve(maps, offset, mask):
            return deform_conv2d(maps, offset, weight, bias, padding=1, mask=mask)

        run = run_in_onnx(convolve, example(), ({}, {}, {}))
        inputs = example()
        np.testing.assert_allclose(run(*inputs), convolve(*inputs).numpy(), atol=1e-4)
