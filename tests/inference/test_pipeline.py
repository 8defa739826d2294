"""A test pipeline takes images without annotations, from files and from memory."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from convnext_dense.errors import UsageError
from convnext_dense.inference.pipeline import PredictPipeline, dataset_info
from convnext_dense.results.image_input import ImageInput

PACK = dict(type='PackDetInputs', meta_keys=('img_path', 'ori_shape'))


def config(*steps, **dataset):
    return Config(dict(default_scope='mmdet', test_dataloader=dict(dataset=dict(pipeline=list(steps), **dataset))))


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


IMAGE = ImageInput('mine', pixels=np.zeros((8, 12, 3), np.uint8))


class TestPipeline:
    def test_annotations_are_not_loaded(self):
        steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True), PACK]
        packed = PredictPipeline(config(*steps))(IMAGE)
        assert packed['inputs'].shape == (3, 8, 12)
        assert packed['data_samples'].ori_shape == (8, 12)

    def test_floats_are_floats(self):
        pipeline = PredictPipeline(config(dict(type='LoadImageFromFile', to_float32=True), PACK))
        assert pipeline.load(IMAGE)['img'].dtype == np.float32

    @pytest.mark.parametrize('kind', ['unchanged', 'grayscale'])
    def test_what_needs_a_file_says_so(self, kind):
        pipeline = PredictPipeline(config(dict(type='LoadImageFromFile', color_type=kind), PACK))
        with pytest.raises(UsageError, match=f'mine: the model reads images by color_type {kind}, so they must be'):
            pipeline(IMAGE)

    def test_a_config_without_images_says_so(self):
        with pytest.raises(UsageError, match='no test_dataloader with a pipeline that loads an image'):
            PredictPipeline(config(PACK))

    def test_a_step_that_fails_names_the_image(self):
        pipeline = PredictPipeline(
            config(dict(type='LoadImageFromFile'), dict(type='Resize', scale=[8, 8], keep_ratio=True), PACK)
        )
        with pytest.raises(UsageError, match='mine: the test pipeline cannot use it: '):
            pipeline(IMAGE)


class TestDatasetInfo:
    def test_classes_are_the_datasets_own_or_the_configs(self):
        info, counts_from_1 = dataset_info(config(type='CocoDataset'))
        assert len(info['classes']) == 80
        assert not counts_from_1
        assert dataset_info(config(type='CocoDataset', metainfo=dict(classes=('a',))))[0]['classes'] == ('a',)

    def test_a_zero_label_is_reduced_by_type_or_by_key(self):
        assert dataset_info(config(type='mmseg.ADE20KDataset'))[1]
        assert not dataset_info(config(type='mmseg.ADE20KDataset', reduce_zero_label=False))[1]
        assert not dataset_info(config(type='mmseg.CityscapesDataset'))[1]
