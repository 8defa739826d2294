"""IoU by one count, against mmseg's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric as MMSegIoUMetric
from mmseg.structures import SegDataSample

from convnext_dense.config import enable_speed, load_config
from convnext_dense.evaluation.iou_metric import IoUMetric


@given(
    st.integers(1, 40),
    st.sampled_from([255, 0, 3]),
    st.sampled_from([torch.int64, torch.float32]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=100, deadline=None)
def test_areas_are_mmsegs(num_classes, ignore_index, dtype, seed):
    rng = torch.Generator().manual_seed(seed)
    label_map = torch.randint(0, num_classes + 3, (9, 17), generator=rng)
    label_map[0] = 255
    # A segmenter of two classes may return floating-point numbers.
    found = torch.where(torch.rand(9, 17, generator=rng) < 0.6, label_map, torch.zeros(())).to(dtype)
    arguments = found, label_map.to(found), num_classes, ignore_index
    for areas, expected in zip(
        IoUMetric.intersect_and_union(*arguments), MMSegIoUMetric.intersect_and_union(*arguments), strict=True
    ):
        assert areas.dtype == expected.dtype
        assert areas.tolist() == expected.tolist()


def test_scores_are_mmsegs():
    rng = torch.Generator().manual_seed(0)
    samples = []
    for _ in range(3):
        sample = SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 6, (1, 20, 30), generator=rng)))
        sample.pred_sem_seg = PixelData(data=torch.randint(0, 5, (1, 20, 30), generator=rng))
        samples.append(sample.to_dict())
    scores = []
    for kind in (MMSegIoUMetric, IoUMetric):
        metric = kind(ignore_index=5, iou_metrics=['mIoU', 'mDice', 'mFscore'])
        metric.dataset_meta = dict(classes=list('abcde'))
        metric.process({}, samples)
        scores.append(metric.evaluate(3))
    assert scores[0] == scores[1]
    assert scores[0]['mIoU'] > 0


@pytest.mark.parametrize('derives', [False, True])
def test_the_switch_data_replaces_mmsegs_own(pytestconfig, derives):
    cfg = load_config(str(pytestconfig.rootpath / 'configs/demo/upernet_convnext-demo_demo-ade20k.py'))
    if derives:
        cfg.val_evaluator.type = type('IoUMetric', (MMSegIoUMetric,), {})
    before = cfg.val_evaluator.type
    with DefaultScope.overwrite_default_scope('mmseg'):
        enable_speed(cfg, ['data'])
    assert cfg.val_evaluator.type == (before if derives else 'convnext_dense.IoUMetric')
