"""What a detector finds itself, next to what its graph finds."""

import numpy as np
import torch
from mmdet.structures import DetDataSample


def predict(model, images):
    """Return a detector's own boxes, scores and labels, the boxes in its input."""
    shape = images.shape[1:3]
    samples = [DetDataSample(metainfo=dict(img_shape=shape, ori_shape=shape, scale_factor=(1, 1))) for _ in images]
    with torch.no_grad():
        results = model.test_step(dict(inputs=list(images.permute(0, 3, 1, 2)), data_samples=samples))
    found = [result.pred_instances for result in results]
    return [torch.stack([one[name] for one in found]) for name in ('bboxes', 'scores', 'labels')]


def check_same(found, expected):
    """Compare boxes, scores and labels, some of which must be sure of something."""
    boxes, scores, labels = (np.asarray(output) for output in found)
    assert (np.asarray(expected[1]) > 0.3).any()
    np.testing.assert_allclose(boxes, expected[0], rtol=0, atol=1e-2)
    np.testing.assert_allclose(scores, expected[1], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(labels, expected[2])
