"""Data preprocessors for any number of channels."""

import pytest
import torch
from mmdet.models import DetDataPreprocessor as MMDetDataPreprocessor
from mmseg.models import SegDataPreProcessor as MMSegDataPreProcessor

from convnext_dense.config.channels import fit_data_preprocessor
from convnext_dense.config.load import load_config
from convnext_dense.datasets.det_preprocessor import DetDataPreprocessor
from convnext_dense.datasets.seg_preprocessor import SegDataPreProcessor

PAIRS = [(DetDataPreprocessor, MMDetDataPreprocessor), (SegDataPreProcessor, MMSegDataPreProcessor)]


def images(channels):
    return dict(inputs=[torch.arange(channels * 4, dtype=torch.uint8).view(channels, 2, 2)])


class TestDataPreprocessors:
    @pytest.mark.parametrize(('ours', 'original'), PAIRS)
    @pytest.mark.parametrize('swaps', [{}, dict(bgr_to_rgb=True), dict(rgb_to_bgr=True)])
    @pytest.mark.parametrize('mean', [None, [5.0], [1.0, 2.0, 3.0]])
    def test_three_channels_are_as_in_the_original(self, ours, original, swaps, mean):
        arguments = dict(mean=mean, std=mean, **swaps)
        assert (ours(**arguments)(images(3))['inputs'] == original(**arguments)(images(3))['inputs']).all()

    @pytest.mark.parametrize('ours', [DetDataPreprocessor, SegDataPreProcessor])
    @pytest.mark.parametrize('channels', [1, 2, 4, 7])
    def test_each_channel_has_its_mean_and_deviation(self, ours, channels):
        mean, std = list(range(channels)), list(range(1, channels + 1))
        normalized = ours(mean=mean, std=std)(images(channels))['inputs'][0]
        expected = [(channel * 4 - channel) / (channel + 1) for channel in range(channels)]
        assert normalized[:, 0, 0].tolist() == pytest.approx(expected)

    @pytest.mark.parametrize('ours', [DetDataPreprocessor, SegDataPreProcessor])
    def test_a_fourth_channel_stays_in_its_place(self, ours):
        preprocessed = ours(bgr_to_rgb=True)(images(4))['inputs'][0]
        assert preprocessed[:, 0, 0].tolist() == [8, 4, 0, 12]

    @pytest.mark.parametrize('ours', [DetDataPreprocessor, SegDataPreProcessor])
    def test_one_channel_has_nothing_to_exchange(self, ours):
        assert ours(bgr_to_rgb=True)(images(1))['inputs'].shape == (1, 1, 2, 2)


class TestFitDataPreprocessor:
    @pytest.mark.parametrize(
        ('config', 'kind'),
        [
            ('mask-rcnn_convnext-demo_fpn_demo-coco', 'DetDataPreprocessor'),
            ('upernet_convnext-demo_demo-ade20k', 'SegDataPreProcessor'),
        ],
    )
    def test_is_chosen_by_the_length_of_mean(self, config, kind):
        assert load_config(config).model.data_preprocessor.type == kind
        options = {f'model.data_preprocessor.{name}': [1.0] * 4 for name in ('mean', 'std')}
        cfg = load_config(config, cfg_options={**options, 'model.backbone.in_channels': 4})
        assert cfg.model.data_preprocessor.type == f'convnext_dense.{kind}'

    def test_is_chosen_by_the_backbone_where_there_is_no_mean(self):
        options = {'model.data_preprocessor.mean': None, 'model.data_preprocessor.std': None}
        cfg = load_config('mask-rcnn_convnext-demo_fpn_demo-coco', cfg_options=options)
        assert cfg.model.data_preprocessor.type == 'DetDataPreprocessor'
        cfg.model.backbone.in_channels = 4
        fit_data_preprocessor(cfg)
        assert cfg.model.data_preprocessor.type == 'convnext_dense.DetDataPreprocessor'
