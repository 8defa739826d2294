"""A cleaned copy passes the check that the dataset did not pass, and the dataset stays as it was."""

import hashlib
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.commands import chdir
from helpers.data.clean_data import BOXES, HEIGHT, WIDTH, CleanLabels, CleanObjects, texture
from helpers.data.small_datasets import turn_by_exif
from helpers.planted import box_faults, file_faults, label_faults, object_faults
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from convnext_dense.apis import check_data, mend_data
from convnext_dense.datasets.checker.kinds import KINDS
from convnext_dense.errors import UsageError

ENTRY_FAULTS = object_faults.FAULTS | box_faults.FAULTS
OBJECT_FAULTS = [name for name, (kind, _) in ENTRY_FAULTS.items() if KINDS[kind].is_mended]
IMAGE_FAULTS = [name for name, (kind, _) in file_faults.FAULTS.items() if KINDS[kind].is_mended]
LABEL_FAULTS = [name for name, (kind, _) in label_faults.FAULTS.items() if KINDS[kind].is_mended]
REFUSED = ['cut_off', 'no_categories', 'no_images', 'no_objects', 'category_id_twice', 'fractions', 'no_mask']
quick = settings(
    max_examples=1,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def state(folder):
    """Every file of a folder, and what is in it."""
    return {path: hashlib.md5(path.read_bytes()).digest() for path in folder.rglob('*') if path.is_file()}


def mended(data, task, kind):
    """Check that a copy has no errors and not the fault, and return it."""
    out = data.root.parent / 'copy'
    with chdir(data.root.parent):
        before = state(data.root)
        checked = check_data(str(data.root), task, workers=1)
        assert kind in {finding.kind for finding in checked.report.findings}
        changes, copy = mend_data(checked, str(out), workers=1)
        assert state(data.root) == before
    assert changes
    findings = [finding.sentence for finding in copy.report.findings if finding.level == 'error']
    assert findings == []
    assert kind not in {finding.kind for finding in copy.report.findings}
    return out


def content(out, split='train'):
    return json.loads((out / 'annotations' / f'instances_{split}.json').read_text())


class TestCopies:
    @pytest.mark.parametrize('name', OBJECT_FAULTS)
    @quick
    @given(data=st.data())
    def test_have_no_fault_of_annotations(self, name, data):
        kind, plant = ENTRY_FAULTS[name]
        with tempfile.TemporaryDirectory() as folder:
            planted = CleanObjects(Path(folder, 'data'))
            plant(data.draw, planted)
            planted.write()
            mended(planted, 'instances', kind)

    @pytest.mark.parametrize('name', IMAGE_FAULTS)
    @pytest.mark.parametrize('task', ['boxes', 'semantic'])
    @quick
    @given(data=st.data())
    def test_have_no_fault_of_images(self, name, task, data):
        kind, plant = file_faults.FAULTS[name]
        with tempfile.TemporaryDirectory() as folder:
            planted = (CleanLabels if task == 'semantic' else CleanObjects)(Path(folder, 'data'))
            plant(data.draw, planted)
            if (kind, task) != ('image-missing', 'semantic'):
                mended(planted, task, kind)

    @pytest.mark.parametrize('name', LABEL_FAULTS)
    @quick
    @given(data=st.data())
    def test_have_no_fault_of_label_maps(self, name, data):
        kind, plant = label_faults.FAULTS[name]
        with tempfile.TemporaryDirectory() as folder:
            planted = CleanLabels(Path(folder, 'data'))
            plant(data.draw, planted)
            mended(planted, 'semantic', kind)


class TestChanges:
    @pytest.fixture
    def data(self, tmp_path):
        return CleanObjects(tmp_path / 'data')

    def test_what_is_right_stays(self, data):
        annotations = data.contents['train']['annotations']
        annotations[0]['bbox'] = [900, 1, 5, 5]
        data.contents['train']['info'] = dict(year=2024)
        data.write()
        copy = content(mended(data, 'instances', 'box-outside'))
        assert copy['annotations'] == annotations[1:]
        assert copy['info'] == dict(year=2024)
        assert copy['images'] == data.contents['train']['images']

    def test_polygons_are_cut_off_at_the_border(self, data):
        box = [60, 40, 40, 40]
        data.contents['val']['annotations'][0] = data.annotation(1, 10, 0, box)
        data.write()
        entry = content(mended(data, 'instances', 'polygon-outside'), 'val')['annotations'][0]
        x, y = np.array(entry['segmentation'][0]).reshape(-1, 2).T
        assert (x.max(), y.max(), entry['bbox']) == (WIDTH, HEIGHT, [60, 40, 20, 20])
        assert 300 < entry['area'] < 400

    def test_an_image_of_two_splits_stays_in_validation(self, data):
        data.image('val', 0).write_bytes(data.image('train', 1).read_bytes())
        out = mended(data, 'instances', 'image-in-two-splits')
        assert [image['id'] for image in content(out)['images']] == [10, 12, 13]
        assert len(content(out, 'val')['images']) == 3

    def test_a_turned_jpeg_keeps_its_pixels(self, data):
        path = data.image('train', 1).with_suffix('.jpg')
        Image.fromarray(texture(55)).save(path)
        turn_by_exif(path, 6)
        data.contents['train']['images'][1]['file_name'] = path.name
        data.write()
        out = mended(data, 'instances', 'exif-unseen')
        stored = cv2.imread(str(path), cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_COLOR)
        assert (cv2.imread(str(out / 'train' / path.name)) == stored).all()

    def test_a_renamed_image_is_found(self, data):
        data.image('train', 1).rename(data.root / 'train' / 'TRAIN1.PNG')
        out = mended(data, 'instances', 'image-name')
        assert content(out)['images'][1]['file_name'] == 'TRAIN1.PNG'

    def test_boxes_keep_their_objects_without_broken_masks(self, data):
        data.contents['train']['annotations'][0]['segmentation'] = [['a'] * 6]
        data.write()
        out = mended(data, 'boxes', 'polygon')
        assert content(out)['annotations'][0]['bbox'] == BOXES[0]

    def test_values_that_are_no_classes_are_ignored(self, tmp_path):
        data = CleanLabels(tmp_path / 'data')
        labels = data.labels()
        labels[3, 4] = 77
        Image.fromarray(labels).save(data.map('train', 2))
        out = mended(data, 'semantic', 'map-values')
        copy = np.asarray(Image.open(out / 'annotations' / 'train' / 'train2.png'))
        assert copy[3, 4] == 255
        assert (copy != labels).sum() == 1
        assert (out / 'images' / 'train' / 'train0.png').is_symlink()


class TestRefusals:
    @pytest.mark.parametrize('name', REFUSED)
    @quick
    @given(data=st.data())
    def test_what_would_be_a_guess_is_refused(self, name, data):
        with tempfile.TemporaryDirectory() as folder:
            planted = CleanObjects(Path(folder, 'data'))
            ENTRY_FAULTS[name][1](data.draw, planted)
            planted.write()
            with chdir(Path(folder)):
                checked = check_data(str(planted.root), 'instances', workers=1)
                with pytest.raises(UsageError, match='fix: it cannot be mended without guessing'):
                    mend_data(checked, 'copy')
                assert not Path('copy').exists()

    def test_label_maps_that_nobody_can_read_are_refused(self, tmp_path):
        data = CleanLabels(tmp_path / 'data')
        (data.root / 'classes.txt').unlink()
        for path in (data.root / 'masks').rglob('*.png'):
            Image.fromarray(data.labels(0, 38, 75)).save(path)
        checked = check_data(str(data.root), 'semantic', workers=1)
        with pytest.raises(UsageError, match='do not count classes'):
            mend_data(checked, str(tmp_path / 'copy'))
        assert not (tmp_path / 'copy').exists()

    def test_nothing_is_written_over(self, tmp_path):
        data = CleanObjects(tmp_path / 'data')
        checked = check_data(str(data.root), 'instances', workers=1)
        for out, message in ((tmp_path / 'data', 'is there already'), (tmp_path / 'data' / 'copy', 'stays as it is')):
            with pytest.raises(UsageError, match=message):
                mend_data(checked, str(out))
