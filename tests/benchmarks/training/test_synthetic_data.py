"""Synthetic batches have the shapes, crops and padding of the recipe."""

import pytest
from helpers.demo_runs import CONFIGS
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from benchmarks.training.synthetic_data import padded_shape, scale_images, take_batches, use_synthetic_data
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError

DETECTOR = CONFIGS / 'mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py'
SEGMENTER = CONFIGS / 'upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py'
MOSAIC = CONFIGS / 'rtmdet/rtmdet_m_convnext-t_4xb32-100e_coco.py'
PANOPTIC = CONFIGS / 'mask2former/mask2former_convnext-t_8xb2-lsj-50e_coco-panoptic.py'


def make_batches(cfg, folder, count, scale=None, images=4):
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False, batch_size=2)
    use_synthetic_data(cfg, folder, count=images)
    if scale:
        scale_images(cfg, scale)
    init_default_scope(cfg.default_scope)
    return take_batches(Runner.build_dataloader(cfg.train_dataloader, seed=0), count)


class TestUseSyntheticData:
    def test_a_detectors_batches_have_the_scales_of_its_recipe(self, tmp_path):
        batches = make_batches(load_config(str(DETECTOR)), tmp_path, 8, images=12)
        assert len({padded_shape(batch, 32) for batch in batches}) >= 4
        for batch in batches:
            for image, sample in zip(batch['inputs'], batch['data_samples'], strict=True):
                # The recipe's short sides; long crops are shrunk so that the long side is 1333 at most.
                assert min(image.shape[1:]) in range(480, 801, 32) or max(image.shape[1:]) in (1332, 1333)
                assert sample.img_shape == image.shape[1:]
                masks = sample.gt_instances.masks
                assert (len(masks), masks.height, masks.width) == (len(sample.gt_instances.bboxes), *image.shape[1:])
        assert sum(len(sample.gt_instances) for batch in batches for sample in batch['data_samples']) > 16

    def test_a_segmenters_batches_are_crops_with_its_classes(self, tmp_path):
        # Two images make one batch; the next one restarts the dataset.
        batch, _ = make_batches(load_config(str(SEGMENTER)), tmp_path, 2, images=2)
        assert padded_shape(batch) == (2, 512, 512)
        for sample in batch['data_samples']:
            values = sample.gt_sem_seg.data.unique()
            assert len(values) > 3
            assert all(value < 150 or value == 255 for value in values)

    def test_other_datasets_are_refused_with_a_way_out(self, tmp_path):
        with pytest.raises(UsageError, match='CocoPanopticDataset; use --with-data'):
            use_synthetic_data(load_config(str(PANOPTIC)), tmp_path)


class TestScaleImages:
    def test_a_segmenters_crops_and_padding_are_scaled(self, tmp_path):
        cfg = load_config(str(SEGMENTER))
        (batch,) = make_batches(cfg, tmp_path, 1, scale=0.5, images=2)
        assert padded_shape(batch)[1:] == cfg.model.data_preprocessor.size == (256, 256)

    def test_a_mosaic_is_scaled(self, tmp_path):
        (batch,) = make_batches(load_config(str(MOSAIC)), tmp_path, 1, scale=0.5)
        assert padded_shape(batch)[1:] == (320, 320)

    @pytest.mark.parametrize('factor', [0, -1, 1e-9, float('nan'), float('inf')])
    def test_nothing_is_no_scale(self, factor):
        with pytest.raises(UsageError, match=r'scale: must be from 0\.1 to 10\.0; got'):
            scale_images(None, factor)
