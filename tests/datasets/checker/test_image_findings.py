"""What a full check finds in images and names of files, and how much of it is an error."""

import pytest
from helpers.commands import chdir
from helpers.data.clean_data import CLASSES, COUNTS, HEIGHT, WIDTH, CleanLabels, CleanObjects, texture
from helpers.data.small_datasets import turn_by_exif
from PIL import Image

from convnext_dense.apis import check_data
from convnext_dense.datasets.checker import image_facts
from convnext_dense.image_limit import PIXEL_LIMIT_VARIABLE


def kinds(data, task='instances', **options):
    """The kind, file and id of what is found."""
    with chdir(data.root.parent):
        report = check_data(str(data.root), task, workers=1, **options).report
    return [(finding.kind, finding.file, finding.id) for finding in report.findings]


@pytest.fixture
def data(tmp_path):
    return CleanObjects(tmp_path / 'data')


class TestNames:
    @pytest.mark.parametrize('name', ['TRAIN1.png', 'train1.PNG', 'Train1.Png'])
    def test_other_case_is_found(self, data, name):
        data.image('train', 1).rename(data.root / 'train' / name)
        assert kinds(data) == [('image-name', str(data.image('train', 1)), 11)]

    def test_accents_written_otherwise_are_found(self, data):
        image = data.contents['val']['images'][0]
        image['file_name'] = 'bl\u00fcte.png'
        data.image('val', 0).rename(data.root / 'val' / 'blu\u0308te.png')
        data.write()
        assert kinds(data)[0][::2] == ('image-name', 10)

    def test_image_that_no_file_names_is_found(self, data):
        path = data.root / 'train' / 'more.jpg'
        Image.fromarray(texture(77)).save(path)
        assert kinds(data) == [('image-unused', str(path), None)]

    def test_links_and_spaces_are_fine(self, data, tmp_path):
        place = data.root.rename(tmp_path / 'my data \u00fc')
        (tmp_path / 'linked').symlink_to(place)
        data.root = tmp_path / 'linked'
        assert kinds(data) == []


class TestSizesAndOrientations:
    def test_other_size_is_found(self, data):
        data.contents['train']['images'][2]['height'] += 1
        data.write()
        assert kinds(data) == [('image-size-differs', str(data.image('train', 2)), 12)]

    def turned(self, data, tag, i=1):
        path = data.image('train', i)
        path.unlink()
        path = path.with_suffix('.jpg')
        Image.fromarray(texture(55)).save(path)
        turn_by_exif(path, tag)
        data.contents['train']['images'][i]['file_name'] = path.name
        return path

    def test_orientation_that_annotations_did_not_see_is_found(self, data):
        path = self.turned(data, 6)
        data.write()
        assert kinds(data) == [('exif-unseen', str(path), 11)]

    def test_orientation_that_annotations_saw_is_fine(self, data):
        self.turned(data, 6)
        data.contents['train']['images'][1].update(height=WIDTH, width=HEIGHT)
        annotations = data.contents['train']['annotations']
        data.contents['train']['annotations'] = [a for a in annotations if a['bbox'][0] < 35]
        data.contents['train']['annotations'] += [a for a in annotations if a['image_id'] != 11 and a['bbox'][0] > 35]
        data.write()
        assert kinds(data) == []

    def test_orientation_that_the_size_does_not_tell_is_found(self, data):
        path = self.turned(data, 3)
        data.write()
        assert kinds(data) == [('exif-unclear', str(path), 11)]

    def test_too_many_pixels_are_found(self, data, monkeypatch):
        Image.fromarray(texture(5)).resize((300, 300)).save(data.image('val', 1))
        monkeypatch.setenv(PIXEL_LIMIT_VARIABLE, str(80_000))
        assert ('image-too-large', str(data.image('val', 1)), 11) in kinds(data)


class TestModes:
    def test_all_gray_images_are_fine(self, data):
        for split, count in COUNTS.items():
            for i in range(count):
                Image.open(data.image(split, i)).convert('L').save(data.image(split, i))
        assert kinds(data) == []

    def test_a_colored_image_among_gray_ones_is_found(self, data):
        for i in range(1, COUNTS['train']):
            Image.open(data.image('train', i)).convert('L').save(data.image('train', i))
        assert kinds(data) == [('image-colored', str(data.image('train', 0)), 10)]


class TestWithoutImages:
    def test_files_that_are_not_there_are_found(self, data):
        data.image('train', 0).unlink()
        data.image('train', 1).write_bytes(b'')
        assert kinds(data, reads_images=False) == [('image-missing', str(data.image('train', 0)), 10)]


class TestLabelMaps:
    def test_maps_that_are_all_0_and_255_are_an_error(self, tmp_path):
        data = CleanLabels(tmp_path / 'data')
        for split, count in COUNTS.items():
            for i in range(count):
                Image.fromarray(data.labels(0, 255)).save(data.map(split, i))
        assert {'data', 'map-shifted'} <= {kind for kind, _, _ in kinds(data, 'semantic')}

    def test_a_class_that_no_map_has_is_found(self, tmp_path):
        data = CleanLabels(tmp_path / 'data')
        (data.root / 'classes.txt').write_text('sky\nroad\ncar\nbird\nbus\n')
        found = kinds(data, 'semantic')
        assert [(kind, i) for kind, _, i in found] == [('unused-category', 'bird'), ('unused-category', 'bus')]

    def test_a_class_that_validation_lacks_is_found(self, tmp_path):
        data = CleanLabels(tmp_path / 'data')
        for i in range(COUNTS['val']):
            Image.fromarray(data.labels(0, 1)).save(data.map('val', i))
        assert [(kind, i) for kind, _, i in kinds(data, 'semantic')] == [('class-absent', 'car')]


class TestPlaces:
    def test_a_file_that_is_alone_is_checked_itself(self, data, tmp_path):
        data.contents['train']['annotations'][0]['bbox'] = [900, 0, 5, 5]
        data.write()
        with chdir(tmp_path):
            report = check_data(str(data.file('train')), 'instances').report
        assert [(f.kind, f.file) for f in report.findings] == [('box-outside', str(data.file('train')))]
        assert not (tmp_path / 'data' / 'work_dirs').exists()

    def test_boxes_without_masks_are_fine_for_boxes(self, data):
        for content in data.contents.values():
            for annotation in content['annotations']:
                annotation.update(segmentation=[], area=annotation['bbox'][2] * annotation['bbox'][3])
        data.write()
        assert kinds(data, 'boxes') == []
        assert {kind for kind, _, _ in kinds(data)} == {'no-mask'}

    def test_the_name_of_a_group_is_no_unused_class(self, data):
        for content in data.contents.values():
            content['categories'] = [
                dict(id=0, name='pets', supercategory='none'),
                *(dict(id=i + 1, name=name, supercategory='pets') for i, name in enumerate(CLASSES)),
            ]
        data.write()
        assert kinds(data) == []


@pytest.mark.e2e
class TestProcesses:
    def test_keep_the_order_of_files(self, data):
        files = [str(data.image(split, i)) for split, count in COUNTS.items() for i in range(count)] * 60
        facts = list(image_facts.in_processes(image_facts.read_image_facts, files, workers=2))
        assert [fact.file for fact in facts] == files
        assert facts[: len(files) // 60] == [image_facts.read_image_facts(file) for file in files[: len(files) // 60]]
