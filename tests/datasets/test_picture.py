"""Pictures to draw on."""

import cv2
import mmcv
import numpy as np
import pytest
from helpers.data.small_datasets import turn_by_exif

from convnext_dense.datasets.images.picture import picture


def encoded(array, suffix='.png'):
    return cv2.imencode(suffix, array)[1].tobytes()


class TestPicture:
    @pytest.mark.parametrize('channels', [1, 3, 4])
    @pytest.mark.parametrize('depth', [np.uint8, np.uint16])
    def test_is_rgb_of_8_bits(self, channels, depth):
        image = np.random.default_rng(0).integers(0, 200, (6, 8, channels)).astype(depth)
        shown = picture(encoded(image))
        assert shown.shape == (6, 8, 3)
        assert shown.dtype == np.uint8
        assert shown.max() > 100

    def test_eight_bits_are_as_mmcv_reads_them(self):
        content = encoded(np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8))
        assert (picture(content) == mmcv.imfrombytes(content, channel_order='rgb')).all()

    def test_floats_are_stretched(self):
        shown = picture(encoded(np.linspace(-1, 1, 48, dtype=np.float32).reshape(6, 8), '.tiff'))
        assert (shown.min(), shown.max()) == (0, 255)

    def test_orientation_follows_what_the_model_saw(self, tmp_path):
        file = tmp_path / 'a.jpg'
        cv2.imwrite(str(file), np.zeros((6, 8, 3), np.uint8))
        turn_by_exif(file, 6)
        assert picture(file.read_bytes(), (8, 6)).shape == (8, 6, 3)
        assert picture(file.read_bytes(), (6, 8)).shape == (6, 8, 3)

    def test_what_cannot_be_read_is_gray(self):
        assert (picture(b'no image', (6, 8)) == 127).all()
