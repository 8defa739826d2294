"""What the check `labels` finds."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from helpers.data.small_datasets import SegmenterData, save, turn_by_exif
from helpers.planted.map_faults import OF_MAPS, OF_MAPS_FROM_0, OF_MAPS_FROM_1
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convnext_dense.checks.files import FILES
from convnext_dense.checks.images import IMAGES, LABELS

PLANTED = [
    *((fault, False) for fault in (*OF_MAPS, *OF_MAPS_FROM_0)),
    *((fault, True) for fault in (*OF_MAPS, *OF_MAPS_FROM_0, *OF_MAPS_FROM_1)),
]
# Can be right.
ODD = [
    '_flat_jpeg',
    '_one_class',
    '_shifted_classes',
    '_void_is_a_class',
    '_splits_disagree',
    '_metric_disagrees',
    '_head_disagrees',
    '_map_without_image',
]


def found(data):
    """What `files`, `labels` and `images` find."""
    plan = data.plan()
    return [finding for check in (FILES, LABELS, IMAGES) for finding in check.find(plan)]


class TestPlantedFaults:
    @pytest.mark.parametrize(('fault', 'reduced'), PLANTED)
    def test_is_found_with_its_file_and_values(self, fault, reduced, tmp_path):
        data = SegmenterData(tmp_path, reduced)
        parts = fault(data, np.random.default_rng(0))
        sentences = [finding.sentence for finding in found(data)]
        assert any(all(part in sentence for part in parts) for sentence in sentences), [parts, sentences]

    @pytest.mark.full
    @given(st.sampled_from(PLANTED), st.integers(0, 2**32))
    @settings(max_examples=300, deadline=None)
    def test_is_found_whatever_the_values_are(self, planted, seed):
        fault, reduced = planted
        with tempfile.TemporaryDirectory() as folder:
            data = SegmenterData(Path(folder), reduced)
            parts = fault(data, np.random.default_rng(seed))
            sentences = [finding.sentence for finding in found(data)]
        assert any(all(part in sentence for part in parts) for sentence in sentences), sentences

    @pytest.mark.parametrize('fault', OF_MAPS, ids=lambda fault: fault.__name__)
    def test_only_what_can_be_right_is_a_warning(self, fault, tmp_path):
        data = SegmenterData(tmp_path)
        parts = fault(data, np.random.default_rng(0))
        is_error = [finding.is_error for finding in found(data) if all(part in finding.sentence for part in parts)]
        if fault.__name__ != '_smeared_jpeg':
            assert is_error[0] == (fault.__name__ not in ODD)


class TestRightMaps:
    @pytest.mark.parametrize('reduced', [False, True])
    def test_nothing_is_found(self, reduced, tmp_path):
        assert not found(SegmenterData(tmp_path, reduced))

    @given(st.sets(st.sampled_from([0, 1, 2, 255]), min_size=1), st.sampled_from(['PNG', 'TIFF', 'BMP']))
    @settings(max_examples=20, deadline=None)
    def test_any_classes_and_lossless_format_are_right(self, values, kind):
        with tempfile.TemporaryDirectory() as folder:
            data = SegmenterData(Path(folder))
            save(data.map(2), data.labels(*values), kind)
            assert not found(data)

    def test_a_palette_is_right(self, tmp_path):
        data = SegmenterData(tmp_path)
        image = Image.fromarray(data.labels(0, 1, 2))
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        image.save(data.map(2))
        assert not found(data)

    def test_one_bit_is_right(self, tmp_path):
        data = SegmenterData(tmp_path)
        save(data.map(2), data.labels(0, 1).astype(bool))
        assert not found(data)

    def test_sixteen_bits_with_small_values_are_right(self, tmp_path):
        data = SegmenterData(tmp_path)
        save(data.map(2), data.labels(0, 1).astype(np.uint16))
        assert not found(data)

    def test_a_little_void_in_maps_that_count_from_1_is_right(self, tmp_path):
        data = SegmenterData(tmp_path, reduce_zero_label=True)
        labels = data.labels()
        labels[0, :5] = 0
        save(data.map(2), labels)
        assert not found(data)

    @pytest.mark.parametrize('tag', range(1, 9))
    def test_a_map_of_a_turned_image_may_be_turned_or_not(self, tag, tmp_path):
        data = SegmenterData(tmp_path)
        turn_by_exif(data.image(0), tag)
        assert not found(data)
        save(data.map(0), data.labels(shape=(56, 40)))
        assert bool(found(data)) == (tag < 5)

    def test_images_without_maps_can_be_segmented(self, tmp_path):
        data = SegmenterData(tmp_path)
        data.cfg.test_dataloader = data.cfg.val_dataloader
        for i in range(2):
            data.map(i, 'val').unlink()
        plan = data.plan()
        plan.splits = ('test',)
        assert not list(LABELS.find(plan))
