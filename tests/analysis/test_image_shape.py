"""The image size at which papers count multiply-adds."""

import pytest
from mmengine.config import Config

from convnext_dense.analysis import default_shape
from convnext_dense.errors import UsageError


def make_config(scope, **model):
    return Config(dict(default_scope=scope, model=model))


class TestDefaultShape:
    def test_a_detector(self):
        assert default_shape(make_config('mmdet')) == (800, 1280)

    def test_a_detector_that_pads_to_one_size(self):
        pipeline = [dict(type='Pad', size_divisor=32), dict(type='mmdet.Pad', size=(1280, 640))]
        cfg = Config(dict(default_scope='mmdet', test_dataloader=dict(dataset=dict(pipeline=pipeline))))
        assert default_shape(cfg) == (640, 1280)

    def test_a_detector_that_stretches_to_one_size(self):
        pipeline = [dict(type='mmdet.Resize', scale=(640, 480), keep_ratio=False)]
        cfg = Config(dict(default_scope='mmdet', test_dataloader=dict(dataset=dict(pipeline=pipeline))))
        assert default_shape(cfg) == (480, 640)
        pipeline[0]['keep_ratio'] = True
        assert default_shape(Config(cfg.to_dict() | dict(test_dataloader=dict(dataset=dict(pipeline=pipeline))))) == (
            800,
            1280,
        )

    def test_a_segmenter_is_counted_at_its_crops(self):
        assert default_shape(make_config('mmseg', data_preprocessor=dict(size=(128, 96)))) == (128, 96)

    def test_a_segmenter_that_slides_a_window(self):
        test_cfg = dict(mode='slide', crop_size=(640, 640), stride=(426, 426))
        assert default_shape(make_config('mmseg', test_cfg=test_cfg)) == (640, 2560)

    def test_a_segmenter_without_a_size_is_an_error(self):
        with pytest.raises(UsageError, match=r'no model\.data_preprocessor\.size; give the height and width'):
            default_shape(make_config('mmseg', data_preprocessor=dict(size=None)))
