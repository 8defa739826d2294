"""What the check `images` finds."""

import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.data.small_datasets import DetectorData, SegmenterData, save, turn_by_exif
from helpers.planted.image_faults import OF_ANY_IMAGES, OF_IMAGES
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convnext_dense.checks.files import FILES
from convnext_dense.checks.images import IMAGES

PLANTED = [*((fault, DetectorData) for fault in OF_IMAGES), *((fault, SegmenterData) for fault in OF_ANY_IMAGES)]
# Can be right.
ODD = ['_stored_but_turned', '_upside_down', '_turned_square', '_squeezed', '_squeezed_color', '_dropped_fourth']
SHAPE = (40, 56)


def found(data):
    """What `files` and `images` find."""
    return [*FILES.find(data.plan()), *IMAGES.find(data.plan())]


class TestPlantedFaults:
    @pytest.mark.parametrize(('fault', 'kind'), PLANTED)
    def test_is_found_with_its_file_and_values(self, fault, kind, tmp_path):
        data = kind(tmp_path)
        parts = fault(data, np.random.default_rng(0))
        findings = [finding for finding in found(data) if all(part in finding.sentence for part in parts)]
        assert findings, [parts, found(data)]
        assert findings[0].is_error == (fault.__name__ not in ODD)

    @pytest.mark.full
    @given(st.sampled_from([planted for planted in PLANTED if planted[0].__name__ != '_bomb']), st.integers(0, 2**32))
    @settings(max_examples=200, deadline=None)
    def test_is_found_whatever_the_values_are(self, planted, seed):
        fault, kind = planted
        with tempfile.TemporaryDirectory() as folder:
            data = kind(Path(folder))
            parts = fault(data, np.random.default_rng(seed))
            sentences = [finding.sentence for finding in found(data)]
        assert any(all(part in sentence for part in parts) for sentence in sentences), sentences


class TestRightImages:
    def test_nothing_is_found(self, tmp_path):
        assert not found(DetectorData(tmp_path))

    @given(st.sampled_from(['PNG', 'JPEG', 'WEBP', 'BMP', 'GIF']), st.sampled_from(['RGB', 'L', 'P', 'CMYK', 'RGBA']))
    @settings(max_examples=12, deadline=None)
    def test_any_format_and_mode_is_right(self, kind, mode):
        with tempfile.TemporaryDirectory() as folder:
            data = DetectorData(Path(folder))
            image = Image.open(data.image(1)).convert(mode)
            try:
                image.save(data.image(1), kind)
            except (OSError, ValueError):
                return
            # OpenCV 4 reads no GIF.
            is_read = kind != 'GIF' or cv2.haveImageReader(str(data.image(1)))
            assert bool(found(data)) == (not is_read)

    def test_sixteen_bits_in_full_are_right(self, tmp_path):
        data = DetectorData(tmp_path)
        save(data.image(1), np.random.default_rng(0).integers(0, 65536, SHAPE, dtype=np.uint16))
        assert not found(data)

    def test_annotations_of_turned_images_are_right(self, tmp_path):
        data = DetectorData(tmp_path)
        turn_by_exif(data.image(0), 6)
        turn_by_exif(data.image(1), 3)
        data.write('train', {0: SHAPE[::-1]})
        assert not found(data)

    def test_orientation_may_be_ignored(self, tmp_path):
        data = DetectorData(tmp_path)
        turn_by_exif(data.image(0), 6)
        data.dataset().pipeline[0].color_type = 'color_ignore_orientation'
        assert not found(data)

    @pytest.mark.parametrize(('channels', 'color_type'), [(4, 'unchanged'), (1, 'grayscale')])
    def test_a_model_of_as_many_channels_is_right(self, channels, color_type, tmp_path):
        data = DetectorData(tmp_path)
        for split, count in (('train', 4), ('val', 2)):
            data.dataset(split).pipeline[0].color_type = color_type
            for i in range(count):
                image = np.random.default_rng(i).integers(0, 255, (*SHAPE, channels), dtype=np.uint8)
                data.image(i, split).write_bytes(cv2.imencode('.png', image)[1].tobytes())
        data.cfg.model.backbone.in_channels = channels
        data.cfg.model.data_preprocessor.update(mean=[1] * channels, std=[1] * channels)
        assert not found(data)

    def test_an_image_that_is_filtered_out_may_be_broken(self, tmp_path):
        data = DetectorData(tmp_path)
        data.image(1).write_bytes(b'')
        text = (tmp_path / 'train.json').read_text()
        (tmp_path / 'train.json').write_text(text.replace('"image_id": 2', '"image_id": 1'))
        assert found(data)
        data.dataset().filter_cfg = dict(filter_empty_gt=True)
        assert not found(data)
