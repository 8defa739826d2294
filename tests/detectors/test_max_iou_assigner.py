"""Our MaxIoUAssigner is mmdet's, and does not wait for the device."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.models.task_modules.assigners import MaxIoUAssigner as MMDetMaxIoUAssigner
from mmengine.structures import InstanceData
from torch.utils._python_dispatch import TorchDispatchMode

from convnext_dense.detectors.max_iou_assigner import MaxIoUAssigner

# IoUs of few values, so that many are equal to each other and to the thresholds.
IOU = st.sampled_from((0.0, 0.1, 0.3, 0.5, 0.7, 0.9))
# By its whole name: earlier tests may have left another scope.
IOU_OF_MMDET = dict(type='mmdet.BboxOverlaps2D')
WAITS = ('aten::_local_scalar_dense', 'aten::nonzero', 'aten::masked_select')


class NoWaits(TorchDispatchMode):
    """Fails where an operator would have to know values of the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run an operator that need not."""
        assert func._schema.name not in WAITS
        if func._schema.name.startswith('aten::index'):
            assert all(index is None or index.dtype != torch.bool for index in args[1])
        return func(*args, **(kwargs or {}))


@st.composite
def overlaps(draw):
    boxes = draw(st.integers(0, 6))
    rows = draw(st.lists(st.lists(IOU, min_size=boxes, max_size=boxes), min_size=0, max_size=5))
    return torch.tensor(rows).reshape(len(rows), boxes)


@given(
    overlaps(),
    st.sampled_from((0.3, 0.5, (0.1, 0.5), (0.0, 0.3))),
    st.sampled_from((0.5, 0.7)),
    st.sampled_from((0.0, 0.3)),
    st.booleans(),
    st.booleans(),
)
def test_assigns_as_mmdets_does(overlaps, negative, positive, least, is_low_matched, takes_all):
    arguments = (positive, negative, least, takes_all)
    ours, theirs = (
        kind(*arguments, match_low_quality=is_low_matched, iou_calculator=IOU_OF_MMDET).assign_wrt_overlaps(
            overlaps.clone(), torch.arange(len(overlaps)) % 3
        )
        for kind in (MaxIoUAssigner, MMDetMaxIoUAssigner)
    )
    assert ours.num_gts == theirs.num_gts
    for name in ('gt_inds', 'max_overlaps', 'labels'):
        found, expected = getattr(ours, name), getattr(theirs, name)
        assert found.dtype == expected.dtype
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize('objects', [0, 1, 9])
def test_does_not_wait_for_the_device(objects):
    corners = torch.rand(objects + 50, 2) * 50
    boxes = torch.cat([corners, corners + 20], dim=1)
    found, truth = InstanceData(priors=boxes[objects:]), InstanceData(bboxes=boxes[:objects])
    truth.labels = torch.zeros(objects, dtype=torch.long)
    assigner = MaxIoUAssigner(0.7, 0.3, 0.3, iou_calculator=IOU_OF_MMDET)
    with NoWaits():
        assert len(assigner.assign(found, truth).gt_inds) == 50
