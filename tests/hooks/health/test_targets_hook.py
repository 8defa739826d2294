"""Trainings that have nothing to learn from."""

import pytest
import torch
from helpers.toy_runs import train_toy
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from convnext_dense.errors import RunError, UsageError
from convnext_dense.hooks import TargetsHook
from convnext_dense.hooks.health import targets_hook


def image_of_objects(count):
    return DetDataSample(gt_instances=InstanceData(labels=torch.zeros(count)))


def image_of_pixels(value):
    return SegDataSample(gt_sem_seg=PixelData(data=torch.full((1, 4, 4), value)))


EMPTY = [('objects', image_of_objects(0), 'an object'), ('pixels', image_of_pixels(255), 'a pixel')]
FULL = [('objects', image_of_objects(2)), ('pixels', image_of_pixels(0)), ('images without samples', None)]


@pytest.mark.parametrize(('name', 'empty', 'what'), EMPTY, ids=[name for name, *_ in EMPTY])
class TestNothingToLearn:
    def test_ends_the_run(self, tmp_path, name, empty, what):
        with pytest.raises(RunError, match=f'nothing was learned: none of 4 batches has {what} that is not ignored'):
            train_toy(tmp_path, [TargetsHook()], samples=[empty] * 8)

    def test_is_warned_of_early(self, tmp_path, name, empty, what, monkeypatch, capsys):
        monkeypatch.setattr(targets_hook, 'STEPS_BEFORE_WARNING', 2)
        monkeypatch.setattr(targets_hook, 'STEPS_BEFORE_ERROR', 3)
        with pytest.raises(RunError, match='none of 3 batches'):
            train_toy(tmp_path, [TargetsHook()], samples=[empty] * 8)
        (log,) = tmp_path.rglob('*.log')
        assert f'None of the first 2 batches has {what}' in log.read_text()


class TestSomethingToLearn:
    @pytest.mark.parametrize('full', [image for _, image in FULL], ids=[name for name, _ in FULL])
    def test_needs_one_image_of_a_run(self, tmp_path, full):
        shown = train_toy(tmp_path, [TargetsHook()], samples=[image_of_objects(0)] * 7 + [full])
        assert 'batches' not in shown

    def test_is_looked_for_until_it_is_found(self, tmp_path, monkeypatch):
        looks = []
        look = targets_hook._find_target
        monkeypatch.setattr(targets_hook, '_find_target', lambda *args: looks.append(1) or look(*args))
        train_toy(tmp_path, [TargetsHook()], samples=[image_of_objects(0)] * 2 + [image_of_objects(1)] * 6)
        assert len(looks) == 2


def test_a_loader_without_a_batch_is_a_mistake(tmp_path):
    hook = TargetsHook()
    with pytest.raises(UsageError, match='train_dataloader: it gives no batch; its dataset has 1 sample,'):
        train_toy(tmp_path, [hook], samples=[None], loader=dict(drop_last=True))
