"""Configs fitted to images of any number of channels and any depth."""

import json

import cv2
import numpy as np
import pytest
from helpers.data.small_datasets import HEIGHT, SPLITS, WIDTH, DetectorData, SegmenterData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.config import Config, ConfigDict

from convnext_dense.checks.images.files import find_image_faults
from convnext_dense.config import load_config
from convnext_dense.config.channels import fit_data_preprocessor
from convnext_dense.config.data import image_channels
from convnext_dense.config.data.image_channels import fit_image_channels
from convnext_dense.config.data.training_images import training_images
from convnext_dense.datasets.images.image_statistics import channel_statistics, find_kinds
from convnext_dense.errors import UsageError
from convnext_dense.visualization.fed_dataset import FedDataset

RNG = np.random.default_rng(0)


@pytest.fixture(params=[DetectorData, SegmenterData], ids=['detector', 'segmenter'])
def data(request, tmp_path):
    made = request.param(tmp_path)
    made.cfg.model.data_preprocessor.update(bgr_to_rgb=True, mean=[1.0, 2.0, 3.0], std=[1.0, 2.0, 3.0])
    if request.param is SegmenterData:
        made.cfg.model.data_preprocessor.size_divisor = 8
    return made


@pytest.fixture
def said(monkeypatch):
    """The lines that the user reads."""
    lines = []
    monkeypatch.setattr(image_channels, 'print_log', lambda line, logger: lines.append(line))
    return lines


def write_images(data, channels, dtype=np.uint8, most=None):
    """Replace all images by random ones of this kind, whose channels differ in their brightness."""
    for split, count in SPLITS.items():
        for i in range(count):
            image = RNG.integers(0, most or np.iinfo(dtype).max // 2, (HEIGHT, WIDTH, channels)).astype(dtype)
            image //= np.arange(1, channels + 1, dtype=dtype)
            # A decoder looks at the content, and not at the name.
            data.image(i, split).write_bytes(cv2.imencode('.tiff', image)[1].tobytes())


def fit(data, given=(), has_data=True):
    fit_image_channels(data.cfg, has_data, given)
    fit_data_preprocessor(data.cfg)
    return data.cfg.model.data_preprocessor


def loader(data, split='train'):
    return data.dataset(split).pipeline[0]


def fed_statistics(data):
    """Mean and deviation of what the model is fed, which are 0 and 1 if all fits."""
    dataset = FedDataset(data.cfg, 'train')
    samples = [dataset.dataset[i] for i in range(len(dataset))]
    fed = dataset.preprocessor(
        dict(inputs=[s['inputs'] for s in samples], data_samples=[s['data_samples'] for s in samples])
    )
    return fed['inputs'].mean((0, 2, 3)), fed['inputs'].std((0, 2, 3))


class TestFitting:
    @pytest.mark.parametrize(('channels', 'dtype'), [(4, np.uint8), (1, np.uint16), (3, np.uint16), (4, np.uint16)])
    def test_makes_the_model_see_normalized_channels(self, data, channels, dtype):
        write_images(data, channels, dtype)
        fit(data)
        mean, std = fed_statistics(data)
        assert mean.numpy() == pytest.approx(np.zeros(channels), abs=0.01)
        assert std.numpy() == pytest.approx(np.ones(channels), abs=0.01)
        assert data.cfg.model.backbone.get('in_channels', 3) == channels
        assert {loader(data, split).color_type for split in SPLITS} == {'unchanged'}
        # And the checks before a run agree.
        assert list(find_image_faults(data.plan())) == []

    def test_leaves_colors_of_8_bits_alone(self, data, said):
        before = data.cfg.to_dict()
        fit(data)
        assert data.cfg.to_dict() == before
        assert said == []

    @pytest.mark.parametrize('channels', [1, 3])
    def test_reads_gray_of_8_bits_as_colors(self, data, channels):
        write_images(data, channels)
        before = data.cfg.to_dict()
        fit(data)
        assert data.cfg.to_dict() == before

    def test_a_mask_of_transparency_is_no_channel(self, data):
        for split, count in SPLITS.items():
            for i in range(count):
                image = np.dstack([RNG.integers(0, 255, (HEIGHT, WIDTH, 3)), np.full((HEIGHT, WIDTH), 255)])
                data.image(i, split).write_bytes(cv2.imencode('.png', image.astype(np.uint8))[1].tobytes())
        fit(data)
        assert 'color_type' not in loader(data)
        # Unless it is asked for.
        data.cfg.model.backbone.in_channels = 4
        assert len(fit(data).mean) == 4

    def test_reads_gray_if_one_channel_is_asked_for(self, data):
        data.cfg.model.backbone.in_channels = 1
        fit(data, has_data=False)
        assert loader(data).color_type == 'grayscale'
        mean, std = fed_statistics(data)
        assert (mean.item(), std.item()) == pytest.approx((0, 1), abs=0.01)

    def test_says_what_it_did_in_one_line(self, data, said):
        write_images(data, 4, np.uint16)
        fit(data)
        (line,) = said
        assert '4 channels of 16 bits; model.backbone.in_channels=4; mean' in line
        assert 'of all 4 training images' in line

    def test_of_mixed_images_says_that_they_are_read_as_colors(self, data, said):
        write_images(data, 1, np.uint16)
        data.image(0).write_bytes(cv2.imencode('.png', np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes())
        fit(data)
        assert 'color_type' not in loader(data)
        assert 'they are read as 3 channels of 8 bits' in said[0]

    def test_leaves_out_what_changes_colors(self, data, said):
        write_images(data, 4)
        data.dataset().pipeline.insert(2, ConfigDict(type='PhotoMetricDistortion'))
        fit(data)
        assert 'PhotoMetricDistortion' not in str(data.dataset().pipeline)
        assert 'PhotoMetricDistortion, which changes colors of 8 bits, left out' in said[0]
        FedDataset(data.cfg, 'train').read(0, 0)

    def test_fills_padding_of_any_channels(self, data):
        write_images(data, 4)
        fill = dict(img=(114, 114, 114), seg=255)
        data.dataset().pipeline.insert(2, ConfigDict(type='Pad', size=(64, 64), pad_val=fill))
        fit(data)
        (fed,) = FedDataset(data.cfg, 'train').read(0, 0)
        assert (fed.picture[HEIGHT + 1 :] == 114).all()

    def test_refuses_transforms_of_three_channels(self, data):
        write_images(data, 4)
        data.dataset().pipeline.insert(2, ConfigDict(type='Mosaic'))
        with pytest.raises(UsageError, match='Mosaic of train_dataloader takes images of 3 channels, and these have 4'):
            fit(data)


class TestWhatIsSaidAlready:
    def test_mean_and_deviation_stay(self, data):
        write_images(data, 4, np.uint16)
        data.cfg.model.data_preprocessor.update(mean=[7.0] * 4, std=[9.0] * 4)
        given = ['model.data_preprocessor.mean', 'model.data_preprocessor.std']
        assert fit(data, given).mean == [7.0] * 4

    def test_a_config_that_was_fitted_stays(self, data):
        write_images(data, 1, np.uint16)
        fit(data)
        before = data.cfg.to_dict()
        write_images(data, 1, np.uint16, most=500)
        fit(data)
        assert data.cfg.to_dict() == before

    def test_a_loader_stays(self, data):
        write_images(data, 1, np.uint16)
        for split in SPLITS:
            loader(data, split).color_type = 'grayscale'
        fit(data)
        assert loader(data).color_type == 'grayscale'

    def test_channels_that_are_given_are_kept(self, data, said):
        write_images(data, 1, np.uint16)
        data.cfg.model.backbone.in_channels = 3
        fit(data, ['model.backbone.in_channels'])
        assert 'color_type' not in loader(data)
        assert 'model.backbone.in_channels=3; they are read as' in said[0]

    def test_other_channels_than_the_images_have_are_left_to_the_check(self, data):
        data.cfg.model.backbone.in_channels = 4
        fit(data)
        (error, *_) = find_image_faults(data.plan())
        assert 'the loader makes 3 channels of it, and model.backbone.in_channels is 4' in error.sentence

    def test_a_backbone_without_the_argument_reads_colors(self, tmp_path, said):
        data = DetectorData(tmp_path)
        data.cfg.model.backbone = dict(type='CSPDarknet')
        write_images(data, 4)
        fit(data)
        assert 'CSPDarknet takes 3 channels; they are read as 3 channels of 8 bits' in said[0]

    def test_pretrained_weights_that_no_one_adapts_are_not_frozen(self, tmp_path, said):
        data = DetectorData(tmp_path)
        init_cfg = dict(type='Pretrained', checkpoint='torchvision://resnet50')
        data.cfg.model.backbone = dict(type='ResNet', depth=50, frozen_stages=1, init_cfg=init_cfg)
        write_images(data, 4)
        fit(data)
        assert data.cfg.model.backbone.frozen_stages == -1
        assert "ResNet's pretrained first layer does not fit" in said[0]


class TestLoadConfig:
    def test_fits_the_images_of_data(self, tmp_path):
        data = DetectorData(tmp_path / 'data')
        write_images(data, 4)
        name = 'mask-rcnn_convnext-demo_fpn_demo-coco'
        for split in SPLITS:
            file = data.root / f'{split}.json'
            content = json.loads(file.read_text())
            for annotation in content['annotations']:
                annotation['segmentation'] = [[4, 4, 16, 4, 16, 16]]
            file.write_text(json.dumps(content))
        cfg = load_config(name, str(tmp_path / 'work'), data=str(data.root))
        assert cfg.model.backbone.in_channels == len(cfg.model.data_preprocessor.mean) == 4
        assert cfg.model.data_preprocessor.type == 'convnext_dense.DetDataPreprocessor'
        cfg.dump(tmp_path / 'resolved.py')
        again = load_config(str(tmp_path / 'resolved.py'))
        assert again.model.data_preprocessor == cfg.model.data_preprocessor

    def test_without_its_images_is_fitted_as_far_as_it_can_be(self):
        cfg = load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco', cfg_options={'model.backbone.in_channels': 4})
        assert cfg.train_dataloader.dataset.pipeline[0].color_type == 'unchanged'


class TestTrainingImages:
    def test_are_those_of_wrapped_datasets(self, data):
        inner = data.dataset().to_dict()
        data.cfg.train_dataloader.dataset = ConfigDict(type='ConcatDataset', datasets=[inner, inner])
        assert training_images(data.cfg) == 2 * [str(data.image(i)) for i in range(4)]

    def test_of_missing_data_are_none(self, data):
        data.dataset().data_root = 'nowhere'
        assert training_images(data.cfg) == []
        assert training_images(Config(dict(default_scope='mmdet'))) == []


class TestStatistics:
    @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 999), channels=st.sampled_from([1, 3, 4]), dtype=st.sampled_from(['uint8', 'uint16']))
    def test_are_numpys_over_all_pixels(self, tmp_path, seed, channels, dtype):
        rng = np.random.default_rng(seed)
        images = [rng.integers(0, np.iinfo(dtype).max, (9 + i, 7, channels)).astype(dtype) for i in range(3)]
        files = [str(tmp_path / f'{i} ü.png') for i in range(3)]
        for file, image in zip(files, images, strict=True):
            cv2.imwrite(file, image)
        pixels = np.concatenate([image.reshape(-1, channels) for image in images]).astype(float)
        found = channel_statistics(files, is_gray=False)
        assert found.mean == pytest.approx(pixels.mean(0), rel=1e-4)
        assert found.std == pytest.approx(pixels.std(0), rel=1e-4)
        assert found.count == 3

    def test_a_constant_channel_is_not_divided_by_0(self, tmp_path):
        cv2.imwrite(str(tmp_path / 'a.png'), np.full((9, 7, 3), 200, np.uint8))
        found = channel_statistics([str(tmp_path / 'a.png')], is_gray=False)
        assert (found.mean, found.std) == ([200.0] * 3, [1.0] * 3)

    def test_leave_out_what_cannot_be_read(self, tmp_path):
        (tmp_path / 'a.png').write_bytes(b'no image')
        (tmp_path / 'b.png').touch()
        files = [str(tmp_path / name) for name in ('a.png', 'b.png', 'c.png')]
        assert channel_statistics(files, is_gray=False) is None
        assert find_kinds(files) == []

    def test_channels_that_opencv_does_not_read_are_read_by_tifffile(self, tmp_path):
        tifffile = pytest.importorskip('tifffile')
        image = RNG.integers(0, 999, (20, 30, 6)).astype(np.uint16)
        tifffile.imwrite(tmp_path / 'a.tif', image, photometric='minisblack', planarconfig='contig')
        (kind,) = find_kinds([str(tmp_path / 'a.tif')])
        assert (kind.channels, kind.bits, kind.by_tifffile) == (6, 16, True)
        expected = image.reshape(-1, 6).mean(0)
        assert channel_statistics([str(tmp_path / 'a.tif')], is_gray=False).mean == pytest.approx(expected, rel=1e-4)
