"""A batch's size follows from the step."""

import pytest
import torch
from helpers.data.batches import detection_batch
from mmdet.models import DetDataPreprocessor
from mmengine.logging import MessageHub

from convnext_dense.errors import UsageError

RANGE = (32, 320)


def make():
    resize = dict(type='convnext_dense.BatchRandomResize', random_size_range=RANGE)
    return DetDataPreprocessor(pad_size_divisor=32, batch_augments=[resize])


def batches(preprocessor, steps):
    found = []
    for step in steps:
        MessageHub.get_current_instance().update_info('iter', step)
        found.append(preprocessor(detection_batch(with_mask=False), training=True))
    return found


def sizes(preprocessor, steps):
    return [tuple(batch['inputs'].shape[-2:]) for batch in batches(preprocessor, steps)]


class TestBatchRandomResize:
    def test_sizes_are_multiples_within_the_range(self):
        found = set(sizes(make(), range(100)))
        assert {height for height, _ in found} == set(range(32, 321, 32))
        # Images of 64 x 96.
        assert all(width == 32 * int(1.5 * height / 32) for height, width in found)

    def test_a_resumed_run_has_the_sizes_of_one_without_a_stop(self):
        whole = sizes(make(), range(10))
        assert sizes(make(), range(4)) + sizes(make(), range(4, 10)) == whole

    def test_boxes_follow(self):
        (batch,) = batches(make(), [3])
        height, width = batch['inputs'].shape[-2:]
        scale = torch.tensor([width / 96, height / 64] * 2)
        expected = detection_batch(with_mask=False)['data_samples'][0].gt_instances.bboxes * scale
        torch.testing.assert_close(batch['data_samples'][0].gt_instances.bboxes, expected)
        assert batch['data_samples'][0].batch_input_shape == (height, width)

    def test_masks_are_refused(self):
        with pytest.raises(UsageError, match='no masks'):
            make()(detection_batch(with_mask=True), training=True)
