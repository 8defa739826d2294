"""What the operators are in ONNX."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import ir, opset20

# They register the operators.
from convnext_dense.export.operators import pyramid_pooling, resizing, suppression  # noqa: F401

# ONNX's standard operators of this version are used. Its types say what becomes a tensor only when it runs.
OPSET = 20
op: Any = opset20
# A tensor of the graph. torch reads annotations as types of attributes, and passes over this one.
Value = Any
INT64 = int(ir.DataType.INT64)


def onnx_forms() -> dict[Callable, Callable]:
    """Return the functions that write operators in ONNX, for `torch.onnx.export`."""
    operators = torch.ops.convnext_dense
    return {
        operators.suppress.default: _suppress,
        operators.pool_regions.default: _pool_regions,
        operators.resize.default: _resize,
        torch.ops.torchvision.deform_conv2d.default: _deform_conv,
    }


def _suppress(boxes: Value, scores: Value, iou_threshold: float, score_threshold: float, most: int) -> Value:
    found = op.NonMaxSuppression(
        boxes,
        op.Unsqueeze(scores, op.Constant(value_ints=[1])),
        op.Constant(value_ints=[most]),
        op.Constant(value_floats=[iou_threshold]),
        op.Constant(value_floats=[score_threshold]),
    )
    image, index = _column(found, 0), _column(found, 2)
    images = op.Shape(scores, start=0, end=1)
    # Rows of one image follow each other: the place in its own list is the row, less the rows of images before it.
    one, zero = op.Constant(value_int=1), op.Constant(value_int=0)
    numbers = op.Range(zero, op.Squeeze(images), one)
    is_before = op.Less(
        op.Unsqueeze(image, op.Constant(value_ints=[1])), op.Unsqueeze(numbers, op.Constant(value_ints=[0]))
    )
    before = op.ReduceSum(op.Cast(is_before, to=INT64), op.Constant(value_ints=[0]), keepdims=0)
    rows = op.Range(zero, op.Squeeze(op.Shape(image)), one)
    place = op.Sub(rows, op.Gather(before, image))
    empty = op.Expand(op.Constant(value_ints=[-1]), op.Concat(images, op.Constant(value_ints=[most]), axis=0))
    columns = op.Constant(value_ints=[1])
    places = op.Concat(op.Unsqueeze(image, columns), op.Unsqueeze(place, columns), axis=1)
    return op.ScatterND(empty, places, index)


def _pool_regions(
    features: Sequence[Value], regions: Value, levels: Value, scales: Sequence[float], size: int, samples: int
) -> Value:
    images = op.Cast(_column(regions, 0), to=INT64)
    boxes = op.Slice(regions, op.Constant(value_ints=[1]), op.Constant(value_ints=[5]), op.Constant(value_ints=[1]))
    channels = op.Shape(features[0], start=1, end=2)
    shape = op.Concat(op.Shape(regions, start=0, end=1), channels, op.Constant(value_ints=[size, size]), axis=0)
    pooled = op.Expand(op.Constant(value_floats=[0.0]), shape)
    columns = op.Constant(value_ints=[1])
    for i, (feature, scale) in enumerate(zip(features, scales, strict=True)):
        chosen = op.Squeeze(op.NonZero(op.Equal(levels, op.Constant(value_int=i))), op.Constant(value_ints=[0]))
        part = op.RoiAlign(
            feature,
            op.Gather(boxes, chosen),
            op.Gather(images, chosen),
            coordinate_transformation_mode='half_pixel',
            output_height=size,
            output_width=size,
            sampling_ratio=samples,
            spatial_scale=scale,
        )
        pooled = op.ScatterND(pooled, op.Unsqueeze(chosen, columns), part)
    return pooled


def _resize(maps: Value, size: Value, align_corners: bool) -> Value:
    return op.Resize(
        maps,
        None,
        None,
        op.Concat(op.Shape(maps, start=0, end=2), op.Cast(size, to=INT64), axis=0),
        mode='linear',
        coordinate_transformation_mode='align_corners' if align_corners else 'half_pixel',
    )


def _deform_conv(
    input: Value,
    weight: Value,
    offset: Value,
    mask: Value,
    bias: Value,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> Value:
    return op.DeformConv(
        input,
        weight,
        offset,
        bias,
        mask if use_mask else None,
        strides=[stride_h, stride_w],
        pads=[pad_h, pad_w, pad_h, pad_w],
        dilations=[dilation_h, dilation_w],
        group=groups,
        offset_group=offset_groups,
    )


def _column(rows: Value, number: int) -> Value:
    """Return a column of a matrix."""
    return op.Gather(rows, op.Constant(value_int=number), axis=1)
