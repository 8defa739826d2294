"""Images that their EXIF tag turns: image and targets fit each other, in all eight orientations."""

import json

import numpy as np
import pytest
from helpers.data.small_datasets import HEIGHT, WIDTH, DetectorData, SegmenterData
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from convnext_dense.datasets.images.orientation import SIDEWAYS, turn, turns_webp
from convnext_dense.errors import SampleError
from convnext_dense.visualization.fed_dataset import FedDataset

TAGS = range(1, 9)
# A bright patch, as left, top, right and bottom.
PATCH = (6, 4, 22, 12)


def patched(value, dtype=np.uint8, shape=(HEIGHT, WIDTH)):
    image = np.zeros(shape, dtype)
    image[PATCH[1] : PATCH[3], PATCH[0] : PATCH[2]] = value
    return image


def save_turned(file, upright, tag, kind='PNG'):
    """Write an image so that it looks like `upright` once it is turned."""
    # Turning sideways one way is undone by turning the other way.
    stored = turn(upright, {6: 8, 8: 6}.get(tag, tag))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = tag
    Image.fromarray(stored).save(file, kind, exif=exif)
    return stored


def annotate(data, height, width, box):
    """Let the first image have one object."""
    left, top, right, bottom = box
    file = data.root / 'train.json'
    content = json.loads(file.read_text())
    content['images'][0].update(height=height, width=width)
    content['annotations'][0]['bbox'] = [left, top, right - left, bottom - top]
    file.write_text(json.dumps(content))


def patch_of(fed):
    rows, columns = np.nonzero(fed.picture[..., 0] > 127)
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


class TestTurn:
    @given(tag=st.sampled_from(TAGS), height=st.integers(1, 5), width=st.integers(1, 5))
    def test_is_as_pillow_turns(self, tag, height, width):
        image = Image.fromarray(np.arange(height * width, dtype=np.uint8).reshape(height, width))
        image.getexif()[ExifTags.Base.Orientation] = tag
        assert (turn(np.asarray(image), tag) == np.asarray(ImageOps.exif_transpose(image))).all()


class TestDetector:
    @pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'TIFF', 'WEBP'])
    @pytest.mark.parametrize('tag', TAGS)
    def test_boxes_of_the_upright_image_fit_it(self, tmp_path, tag, kind):
        data = DetectorData(tmp_path)
        save_turned(data.image(), np.dstack([patched(255)] * 3), tag, kind)
        annotate(data, HEIGHT, WIDTH, PATCH)
        if kind == 'WEBP' and tag > 1 and not turns_webp():
            with pytest.raises(SampleError, match='OpenCV turns WebP images from its version 5 on'):
                FedDataset(data.cfg, 'train').read(0, 0)
            return
        (fed,) = FedDataset(data.cfg, 'train').read(0, 0)
        assert patch_of(fed) == fed.objects[0].box == PATCH

    @pytest.mark.parametrize('tag', SIDEWAYS)
    def test_boxes_of_the_stored_image_fit_it(self, tmp_path, tag):
        data = DetectorData(tmp_path)
        stored = save_turned(data.image(), np.dstack([patched(255)] * 3), tag)
        rows, columns = np.nonzero(stored[..., 0])
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        annotate(data, WIDTH, HEIGHT, [int(edge) for edge in box])
        (fed,) = FedDataset(data.cfg, 'train').read(0, 0)
        assert fed.picture.shape[:2] == (WIDTH, HEIGHT)
        assert patch_of(fed) == fed.objects[0].box == box

    @pytest.mark.parametrize('tag', SIDEWAYS)
    def test_boxes_of_an_upright_image_of_16_bits_fit_it(self, tmp_path, tag):
        data = DetectorData(tmp_path)
        data.cfg.model.backbone.in_channels = 1
        data.cfg.model.data_preprocessor.update(mean=[9.0], std=[9.0])
        data.dataset().pipeline[0].color_type = 'unchanged'
        save_turned(data.image(), patched(60000, np.uint16), tag)
        annotate(data, HEIGHT, WIDTH, PATCH)
        (fed,) = FedDataset(data.cfg, 'train').read(0, 0)
        assert patch_of(fed) == fed.objects[0].box == PATCH


class TestSegmenter:
    @pytest.mark.parametrize('is_stored', [False, True])
    @pytest.mark.parametrize('tag', TAGS)
    def test_maps_fit_their_image(self, tmp_path, tag, is_stored):
        data = SegmenterData(tmp_path)
        data.cfg.model.data_preprocessor.size_divisor = 8
        upright = patched(255)
        stored = save_turned(data.image(), np.dstack([upright] * 3), tag)[..., 0]
        # If turning does not change the size, nothing tells a map of the stored pixels from one of the upright image.
        Image.fromarray((stored if is_stored and tag in SIDEWAYS else upright) // 255).save(data.map())
        (fed,) = FedDataset(data.cfg, 'train').read(0, 0)
        assert (fed.label_map == (fed.picture[..., 0] > 127)).all()
        assert patch_of(fed) == PATCH
