"""Images as a model is fed them."""

import json

import cv2
import numpy as np
import pytest
from helpers.data.small_datasets import HEIGHT, WIDTH, DetectorData, SegmenterData
from mmengine.config import ConfigDict

from convnext_dense.config.channels import fit_data_preprocessor
from convnext_dense.errors import UsageError
from convnext_dense.visualization.fed_dataset import FedDataset
from convnext_dense.visualization.fed_image import IGNORED


@pytest.fixture
def detector(tmp_path):
    return DetectorData(tmp_path)


@pytest.fixture
def segmenter(tmp_path):
    data = SegmenterData(tmp_path)
    # In training, mmseg's needs it.
    data.cfg.model.data_preprocessor.size_divisor = 8
    return data


def insert(data, *transforms, split='train', place=-1):
    """Put transforms into a pipeline, before what packs its images."""
    pipeline = data.dataset(split).pipeline
    pipeline[place:place] = [ConfigDict(transform) for transform in transforms]


def set_channels(data, channels):
    data.cfg.model.backbone.in_channels = channels
    data.cfg.model.data_preprocessor.update(mean=[50.0] * channels, std=[9.0] * channels)
    fit_data_preprocessor(data.cfg)


class TestPicture:
    @pytest.mark.parametrize('bgr_to_rgb', [False, True])
    @pytest.mark.parametrize('task', ['detector', 'segmenter'])
    def test_is_the_image_in_its_own_colors(self, request, task, bgr_to_rgb):
        data = request.getfixturevalue(task)
        data.cfg.model.data_preprocessor.bgr_to_rgb = bgr_to_rgb
        fed, *_ = FedDataset(data.cfg, 'train').read(0, 0)
        assert (fed.picture == cv2.imread(str(data.image()))[..., ::-1]).all()
        assert fed.file == str(data.image())

    @pytest.mark.parametrize('channels', [1, 4])
    @pytest.mark.parametrize('task', ['detector', 'segmenter'])
    def test_any_number_of_channels_is_shown(self, request, task, channels):
        data = request.getfixturevalue(task)
        set_channels(data, channels)
        image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, channels), dtype=np.uint8)
        cv2.imwrite(str(data.image().with_suffix('.tiff')), image)
        data.image().with_suffix('.tiff').replace(data.image())
        data.dataset().pipeline[0].color_type = 'unchanged'
        (fed,) = FedDataset(data.cfg, 'train').read(0, 0)
        expected = image[..., 2::-1] if channels > 2 else np.dstack([image[..., 0]] * 3)
        assert (fed.picture == expected).all()

    def test_of_16_bits_is_stretched(self, detector):
        set_channels(detector, 1)
        image = np.linspace(3000, 4000, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
        cv2.imwrite(str(detector.image().with_suffix('.png')), image)
        detector.image().with_suffix('.png').replace(detector.image())
        detector.dataset().pipeline[0].color_type = 'unchanged'
        (fed,) = FedDataset(detector.cfg, 'train').read(0, 0)
        assert (fed.picture.min(), fed.picture.max()) == (0, 255)

    def test_colors_beyond_the_range_are_clipped(self, detector):
        # It makes floats of the image, and some of them more than 255.
        insert(detector, dict(type='PhotoMetricDistortion', brightness_delta=120))
        fed = [FedDataset(detector.cfg, 'train').read(i, 3)[0].picture for i in range(4)]
        assert all(picture.dtype == np.uint8 for picture in fed)

    def test_padding_is_shown(self, detector):
        detector.cfg.model.data_preprocessor.pad_size_divisor = 64
        (fed,) = FedDataset(detector.cfg, 'train').read(0, 0)
        assert fed.picture.shape == (64, 64, 3)
        # mmdet pads the normalized image with zeros, which is the mean.
        assert (fed.picture[HEIGHT:] == [3, 2, 1]).all()
        assert fed.remarks == (f'{WIDTH}x{HEIGHT} to 64x64 px',)


class TestTargets:
    def test_follow_the_augmentation(self, detector):
        insert(detector, dict(type='Resize', scale=(2 * WIDTH, 2 * HEIGHT)), dict(type='RandomFlip', prob=1.0))
        (fed,) = FedDataset(detector.cfg, 'train').read(0, 0)
        assert fed.objects[0].box == (2 * (WIDTH - 16), 8, 2 * (WIDTH - 4), 32)
        assert fed.remarks[-1] == 'flipped horizontally'

    def test_of_a_test_pipeline_follow_the_image(self, detector):
        # mmdet's test pipelines load annotations behind what resizes the image.
        insert(detector, dict(type='Resize', scale=(2 * WIDTH, 2 * HEIGHT)), split='val', place=1)
        (fed,) = FedDataset(detector.cfg, 'val').read(0, 0)
        assert fed.picture.shape[:2] == (2 * HEIGHT, 2 * WIDTH)
        assert fed.objects[0].box == (8, 8, 32, 32)

    def test_a_map_of_a_test_pipeline_follows_the_image(self, segmenter):
        insert(segmenter, dict(type='Resize', scale=(2 * WIDTH, 2 * HEIGHT)), split='val', place=1)
        (fed,) = FedDataset(segmenter.cfg, 'val').read(0, 0)
        assert fed.label_map.shape == fed.picture.shape[:2] == (2 * HEIGHT, 2 * WIDTH)
        assert (fed.label_map[::2, ::2] == segmenter.labels()).all()

    def test_crowds_are_ignored(self, detector):
        file = detector.root / 'train.json'
        content = json.loads(file.read_text())
        content['annotations'][0]['iscrowd'] = 1
        file.write_text(json.dumps(content))
        dataset = FedDataset(detector.cfg, 'train')
        assert [part.is_ignored for i in range(2) for part in dataset.read(i, 0)[0].objects] == [True, False]
        assert dataset.ignored_name == 'crowd'

    def test_255_is_ignored_in_a_map(self, segmenter):
        segmenter.all_maps(0, 1, 255)
        (fed,) = FedDataset(segmenter.cfg, 'train').read(0, 0)
        assert np.unique(fed.label_map).tolist() == [IGNORED, 0, 1]

    def test_padding_of_a_map_is_ignored(self, segmenter):
        segmenter.cfg.model.data_preprocessor.update(size=(64, 64), size_divisor=None)
        (fed,) = FedDataset(segmenter.cfg, 'train').read(0, 0)
        assert (fed.label_map[HEIGHT:] == IGNORED).all() and (fed.label_map[:HEIGHT, :WIDTH] != IGNORED).all()


class TestWrappers:
    @pytest.mark.parametrize('wrapper', ['RepeatDataset', 'ConcatDataset'])
    def test_are_read(self, detector, wrapper):
        inner = detector.dataset().to_dict()
        wrapped = dict(type='RepeatDataset', times=2, dataset=inner)
        if wrapper == 'ConcatDataset':
            wrapped = dict(type='ConcatDataset', datasets=[inner, {**inner, 'metainfo': dict(classes=['cell'])}])
        detector.cfg.train_dataloader.dataset = wrapped
        dataset = FedDataset(detector.cfg, 'train')
        assert len(dataset) == 8
        assert dataset.classes == ['cell']
        assert len(dataset.read(7, 0)[0].objects) == 1

    def test_a_mosaic_has_the_objects_of_its_images(self, detector):
        inner = detector.dataset().to_dict()
        pack = inner['pipeline'].pop()
        detector.cfg.train_dataloader.dataset = dict(
            type='MultiImageMixDataset',
            dataset=inner,
            pipeline=[dict(type='Mosaic', img_scale=(WIDTH, HEIGHT), prob=1.0), pack],
        )
        dataset = FedDataset(detector.cfg, 'train')
        (fed,) = dataset.read(0, 0)
        assert len(fed.objects) > 1
        assert fed.picture.shape[:2] == (2 * HEIGHT, 2 * WIDTH)
        assert dataset.transforms == ['LoadImageFromFile', 'LoadAnnotations', 'Mosaic', 'PackDetInputs']


class TestSeed:
    def test_decides_on_the_augmentation(self, detector):
        insert(detector, dict(type='RandomCrop', crop_size=(16, 16), allow_negative_crop=True))
        dataset = FedDataset(detector.cfg, 'train')
        first, again, other = (dataset.read(0, seed)[0].picture for seed in (0, 0, 1))
        assert (first == again).all()
        assert (first != other).any()

    def test_leaves_the_numbers_of_others_as_they_were(self, detector):
        dataset = FedDataset(detector.cfg, 'train')
        np.random.seed(5)
        expected = np.random.rand()
        np.random.seed(5)
        dataset.read(0, 0)
        assert np.random.rand() == expected


class TestFaults:
    def test_a_damaged_image_is_named(self, detector):
        detector.image().write_bytes(b'no image')
        with pytest.raises(UsageError, match=r'0\.jpg: it cannot be decoded'):
            FedDataset(detector.cfg, 'train').read(0, 0)

    def test_a_transform_that_fails_is_one_sentence(self, detector):
        insert(detector, dict(type='RandomCrop', crop_size=(-1, 5)))
        with pytest.raises(UsageError, match='train_dataloader'):
            FedDataset(detector.cfg, 'train').read(0, 0)

    def test_a_preprocessor_that_does_not_fit_is_one_sentence(self, detector):
        detector.cfg.model.data_preprocessor.mean = [1, 2, 3, 4]
        with pytest.raises(UsageError, match='data_preprocessor'):
            FedDataset(detector.cfg, 'train').read(0, 0)
