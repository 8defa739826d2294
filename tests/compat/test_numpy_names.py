"""mmdet's metrics of videos with NumPy 2."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from mmdet.evaluation.metrics import YouTubeVISMetric
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData

from convnext_dense.compat.numpy_names import restore_numpy_names


def frame(number, mask):
    """Return a frame of a video of one object, which is found exactly."""
    height, width = mask.shape
    meta = dict(img_id=number, video_id=0, frame_id=number, ori_shape=mask.shape, video_length=2, ori_video_length=2)
    sample = DetDataSample(metainfo=meta)
    instances = dict(labels=torch.tensor([0]), instances_id=torch.tensor([1]), masks=torch.from_numpy(mask)[None])
    instances |= dict(bboxes=torch.tensor([[0.0, 0, width, height]]), scores=torch.tensor([0.9]))
    sample.pred_track_instances = InstanceData(**instances)
    return sample


class TestVideoMetric:
    def test_it_scores_with_this_numpy(self):
        mask = np.zeros((32, 32), dtype=bool)
        mask[4:20, 6:26] = True
        polygon = [6, 4, 26, 4, 26, 20, 6, 20]
        metric = YouTubeVISMetric()
        metric.dataset_meta = dict(classes=('a',))
        track = TrackDataSample(video_data_samples=[frame(i, mask) for i in range(2)])
        truth = [dict(instance_id=1, bbox=[6, 4, 26, 20], bbox_label=0, mask=[polygon], ignore_flag=0)]
        for sample in track.video_data_samples:
            sample.set_metainfo(dict(instances=truth))
        metric.process({}, [track.to_dict()])
        assert metric.evaluate(1)['youtube_vis/segm_mAP'] == pytest.approx(1)


class TestRestoreNumPyNames:
    def test_a_package_gets_them_in_all_its_modules(self, monkeypatch):
        modules = [ModuleType(name) for name in ('tracker', 'tracker.metrics', 'trackers')]
        for module in modules:
            module.np = np
            monkeypatch.setitem(sys.modules, module.__name__, module)
        restore_numpy_names('tracker')
        assert modules[0].np.float is modules[1].np.float is float
        assert modules[2].np is np
        assert modules[0].np.zeros is np.zeros

    def test_a_name_that_numpy_never_had_stays_an_error(self, monkeypatch):
        module = ModuleType('tracker')
        module.np = np
        monkeypatch.setitem(sys.modules, 'tracker', module)
        restore_numpy_names('tracker')
        with pytest.raises(AttributeError, match='nothing'):
            module.np.nothing  # noqa: B018

    def test_numpy_itself_stays_as_it_is(self):
        assert not hasattr(np, 'float')
