"""The demo segmenter in mmseg's own tools, and inherited from the package."""

import numpy as np
import pytest
from helpers.demo_runs import SEGMENTER
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.datasets.transforms import LoadAnnotations

IMAGE = np.zeros((64, 64, 3), np.uint8)


class TestMmseg:
    def test_inference_model_segments_an_image(self):
        model = init_model(str(SEGMENTER), device='cpu')
        assert inference_model(model, IMAGE).pred_sem_seg.data.shape == (1, 64, 64)

    def test_inferencer_segments_an_image(self):
        inferencer = MMSegInferencer(str(SEGMENTER), device='cpu', classes=list('abcde'), palette=[[9, 9, 9]] * 5)
        assert inferencer(IMAGE)['predictions'].shape == (64, 64)


@pytest.mark.parametrize('name', ['upernet_convnext-demo_demo-ade20k', 'upernet_convnext-demo_nuclei-ade20k'])
def test_an_inherited_pipeline_loads_label_maps_by_mmseg(name, tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = ['convnext_dense::demo/{name}.py']\n")
    cfg = Config.fromfile(child)
    with DefaultScope.overwrite_default_scope('mmseg'):
        for split in ('train', 'val', 'test'):
            dataset = DATASETS.build({**cfg[f'{split}_dataloader'].dataset, 'lazy_init': True})
            assert type(dataset.pipeline.transforms[1]) is LoadAnnotations
