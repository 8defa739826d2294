"""What the switch `data` changes in a segmenter's config, and that pipelines of mmseg's datasets still run."""

import random
from pathlib import Path

import mmseg
import numpy as np
import pytest
from helpers.data.small_datasets import save
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from benchmarks.data.samples import difference
from convnext_dense.analysis.training_shape import training_shape
from convnext_dense.config import enable_speed, enable_speed_in_testing, load_config
from convnext_dense.config.tree import typed_parts

UPERNET = 'configs/upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py'
MASK2FORMER = 'configs/mask2former/mask2former_convnext-t_8xb2-160k_ade20k-512x512.py'
DATASETS = Path(mmseg.__file__).parent / '.mim/configs/_base_/datasets'
# One with reduce_zero_label, one of large images, one that is repeated, and one of another field.
COMMON = ('ade20k.py', 'cityscapes.py', 'chase_db1.py', 'synapse.py')
# They have depth maps, or two images a sample.
OTHERS = ('nyu.py', 'nyu_512x512.py', 'levir_256x256.py')
NAMES = sorted(path.name for path in DATASETS.glob('*.py') if path.name not in OTHERS)


def types(pipeline):
    return [transform['type'].rpartition('.')[2] for transform in pipeline]


@pytest.fixture
def upernet(pytestconfig):
    return load_config(str(pytestconfig.rootpath / UPERNET))


def test_a_recipes_pipelines_are_replaced(upernet):
    enable_speed(upernet, ['data'])
    assert types(upernet.train_dataloader.dataset.pipeline) == [
        'LoadImageFromFile',
        'LoadAnnotations',
        'SegRandomResizedCrop',
        'SegRandomFlip',
        'SegPhotoMetricDistortion',
        'PackSegInputs',
    ]
    assert upernet.model.data_preprocessor.type == 'convnext_dense.SegDataPreProcessor'
    for place in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'tta_pipeline'):
        packing = [part for part in typed_parts(upernet[place]) if part['type'].endswith('PackSegInputs')]
        assert [part['type'] for part in packing] == ['convnext_dense.PackSegInputs']


def test_in_testing_too(upernet):
    enable_speed_in_testing(upernet, ['data'])
    assert upernet.test_dataloader.dataset.pipeline[-1].type == 'convnext_dense.PackSegInputs'


def test_the_shape_that_is_trained_on_stays(upernet):
    before = training_shape(upernet)
    enable_speed(upernet, ['data'])
    assert training_shape(upernet) == before


def test_a_resize_that_is_chosen_from_several_stays(pytestconfig):
    cfg = load_config(str(pytestconfig.rootpath / MASK2FORMER))
    enable_speed(cfg, ['data'])
    assert types(cfg.train_dataloader.dataset.pipeline)[2:4] == ['RandomChoiceResize', 'SegRandomCrop']


def test_images_of_other_channels_keep_mmsegs_preprocessor(upernet):
    upernet.model.data_preprocessor.update(mean=[0.0] * 4, std=[1.0] * 4)
    enable_speed(upernet, ['data'])
    assert upernet.model.data_preprocessor.type == 'SegDataPreProcessor'
    assert upernet.train_dataloader.dataset.pipeline[-1].type == 'PackSegInputs'


@pytest.mark.parametrize('name', [n if n in COMMON else pytest.param(n, marks=pytest.mark.full) for n in NAMES])
def test_the_pipelines_of_mmsegs_datasets_give_mmsegs_samples(name, tmp_path):
    rng = np.random.default_rng(0)
    image, label_map = tmp_path / 'image.png', tmp_path / 'map.png'
    save(image, rng.integers(0, 256, (120, 160, 3), dtype=np.uint8))
    save(label_map, rng.integers(0, 5, (15, 20), dtype=np.uint8).repeat(8, 0).repeat(8, 1))
    cfg = Config.fromfile(DATASETS / name)
    cfg.model = dict(data_preprocessor=dict(type='SegDataPreProcessor', mean=[0.0] * 3, std=[1.0] * 3))
    cfg.default_scope = 'mmseg'
    samples = []
    for _ in range(2):
        with DefaultScope.overwrite_default_scope('mmseg'):
            dataset = cfg.train_dataloader.dataset
            while 'pipeline' not in dataset:
                dataset = dataset.get('dataset') or dataset.datasets[0]
            pipeline = Compose(dataset.pipeline)
        loading = types(dataset.pipeline)[1:3].index('LoadAnnotations') + 1
        reduces = dataset.pipeline[loading].get('reduce_zero_label', False)
        for seed in range(3):
            random.seed(seed)
            np.random.seed(seed)
            sample = dict(img_path=str(image), seg_map_path=str(label_map), seg_fields=[], label_map=None)
            samples.append(pipeline(dict(sample, reduce_zero_label=reduces)))
        enable_speed(cfg, ['data'])
    assert 'convnext_dense.PackSegInputs' in [transform['type'] for transform in dataset.pipeline]
    assert all(difference(*pair) == 0 for pair in zip(samples[:3], samples[3:], strict=True))
