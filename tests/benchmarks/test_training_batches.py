"""Batches for the benchmarks of training: shapes, crops and padding are the recipe's."""

from pathlib import Path

import pytest
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from benchmarks.training.synthetic_data import padded_shape, scale_pictures, take_batches, use_made_up_data
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
DETECTOR = CONFIGS / 'mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py'
SEGMENTER = CONFIGS / 'upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py'
MOSAIC = CONFIGS / 'rtmdet/rtmdet_m_convnext-t_4xb32-100e_coco.py'
PANOPTIC = CONFIGS / 'mask2former/mask2former_convnext-t_8xb2-lsj-50e_coco-panoptic.py'


def batches(config, folder, count, scale=None, pictures=12, batch_size=2):
    cfg = load_config(str(config))
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False, batch_size=batch_size)
    use_made_up_data(cfg, folder, count=pictures)
    if scale:
        scale_pictures(cfg, scale)
    init_default_scope(cfg.default_scope)
    return take_batches(Runner.build_dataloader(cfg.train_dataloader, seed=0), count)


def test_a_detectors_batches_have_the_many_scales_of_its_recipe(tmp_path):
    taken = batches(DETECTOR, tmp_path, 8)
    shapes = {padded_shape(batch, 32) for batch in taken}
    assert len(shapes) >= 4
    for batch in taken:
        for picture, sample in zip(batch['inputs'], batch['data_samples'], strict=True):
            # The recipe's short sides; long crops are shrunk so that the long side is 1333 at most.
            assert min(picture.shape[1:]) in range(480, 801, 32) or max(picture.shape[1:]) in (1332, 1333)
            assert sample.img_shape == picture.shape[1:]
            masks = sample.gt_instances.masks
            assert (len(masks), masks.height, masks.width) == (len(sample.gt_instances.bboxes), *picture.shape[1:])
    assert sum(len(sample.gt_instances) for batch in taken for sample in batch['data_samples']) > 16


def test_a_segmenters_batches_are_its_crops_with_its_classes(tmp_path):
    (batch,) = batches(SEGMENTER, tmp_path, 1, pictures=4)
    assert padded_shape(batch) == (2, 512, 512)
    for sample in batch['data_samples']:
        values = sample.gt_sem_seg.data.unique()
        assert len(values) > 3
        assert all(value < 150 or value == 255 for value in values)


def test_a_mosaic_is_one(tmp_path):
    (batch,) = batches(MOSAIC, tmp_path, 1, pictures=6)
    assert padded_shape(batch) == (2, 640, 640)


def test_batches_begin_anew_when_the_pictures_are_used_up(tmp_path):
    assert len(batches(SEGMENTER, tmp_path, 3, pictures=2, batch_size=2)) == 3


@pytest.mark.parametrize(('config', 'sides'), [(SEGMENTER, (256, 256)), (MOSAIC, (320, 320))])
def test_scaled_pictures_keep_the_recipes_proportions(tmp_path, config, sides):
    (batch,) = batches(config, tmp_path, 1, scale=0.5, pictures=6)
    assert padded_shape(batch)[1:] == sides


def test_what_a_segmenters_batches_are_padded_to_is_scaled_too():
    cfg = load_config(str(SEGMENTER))
    scale_pictures(cfg, 0.5)
    assert cfg.model.data_preprocessor.size == (256, 256)


def test_what_cannot_be_made_up_is_an_error_that_names_the_way_out(tmp_path):
    with pytest.raises(UsageError, match='CocoPanopticDataset; use --with-data'):
        use_made_up_data(load_config(str(PANOPTIC)), tmp_path)


@pytest.mark.parametrize('factor', [0, -1])
def test_a_scale_of_nothing_is_an_error(factor):
    with pytest.raises(UsageError, match='--scale must be above 0'):
        scale_pictures(load_config(str(SEGMENTER)), factor)
