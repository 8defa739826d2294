"""Exported files without a model behind them: their results follow from an image's pixels."""

from pathlib import Path

import numpy as np
import onnx

from convnext_dense.runtime.description import DETECTION, KEY, SEGMENTATION, Description

CLASSES, COLORS = ['blue', 'green'], [[0, 0, 255], [0, 255, 0]]
# An image's first two objects have the means of its blue and its green as scores. There is no third one.
DETECTOR = """
<ir_version: 8, opset_import: ["" : 18]>
toy (uint8[BATCH, h, w, 3] images)
    => (float[n, k, 4] boxes, float[n, k] scores, int64[n, k] labels, float[n, k, s, t] masks)
<float[1, 3, 4] box = {2, 4, 10, 12, 1, 1, 6, 5, 0, 0, 0, 0}, int64[1, 3] label = {0, 1, -1},
 float[1, 3, 2, 2] mask = {1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0}, int64[2] axes = {1, 2},
 int64[1] one = {1}, int64[1] zero = {0}, float white = {255}>
{
    values = Cast <to = 1> (images)
    means = ReduceMean <keepdims = 0> (values, axes)
    scores = Div (means, white)
    shape = Shape (images)
    count = Slice (shape, zero, one)
    for_boxes = Concat <axis = 0> (count, one, one)
    for_labels = Concat <axis = 0> (count, one)
    for_masks = Concat <axis = 0> (count, one, one, one)
    boxes = Expand (box, for_boxes)
    labels = Expand (label, for_labels)
    masks = Expand (mask, for_masks)
}
"""
# A pixel is of the second class if its blue is above 127.
SEGMENTER = """
<ir_version: 8, opset_import: ["" : 18]>
toy (uint8[BATCH, h, w, 3] images, int64[2] size) => (int64[n, h, w] labels)
<int64 zero = {0}, float limit = {127}>
{
    blue = Gather <axis = 3> (images, zero)
    value = Cast <to = 1> (blue)
    is_blue = Greater (value, limit)
    labels = Cast <to = 7> (is_blue)
}
"""
RESIZE = dict(type='resize', size=[64, 48], keep_ratio=True, interpolation='bilinear')
PAD = dict(type='pad', divisor=32, value=[0, 0, 0])


def write_toy(file: Path, graph: str = DETECTOR, steps: tuple[dict, ...] = (), batch: int | None = None) -> Path:
    """Write one of the graphs as `convnext-dense export` would."""
    model = onnx.parser.parse_model(graph.replace('BATCH', str(batch or 'n')))
    task = DETECTION if graph is DETECTOR else SEGMENTATION
    description = Description(task, 'toy', CLASSES, COLORS, list(steps), batch=batch, mask_threshold=0.5)
    onnx.helper.set_model_props(model, {KEY: description.to_json()})
    onnx.save(model, file)
    return file


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return an image whose channels have means of their own."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, generator.integers(1, 256, 3), (height, width, 3), np.uint8, endpoint=True)
