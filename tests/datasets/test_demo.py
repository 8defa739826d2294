"""The demo dataset, as COCO's and ADE20K's own readers see it."""

import json
import shutil

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from convnext_dense.datasets.demo import CLASSES, DemoSpec, make_demo_data, render_scene

SPEC = DemoSpec(num_train=12, num_val=6)


def all_files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    assert make_demo_data(folder, SPEC)
    return folder


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    make_demo_data(tmp_path, SPEC)
    assert all_files(tmp_path) == all_files(folder)


def test_train_and_val_differ(folder):
    train = {path.read_bytes() for path in (folder / 'coco/train2017').iterdir()}
    val = {path.read_bytes() for path in (folder / 'coco/val2017').iterdir()}
    assert len(train) == SPEC.num_train
    assert len(val) == SPEC.num_val
    assert not train & val


def test_coco_reads_it(folder):
    coco = COCO(folder / 'coco/annotations/instances_train2017.json')
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    assert len(coco.imgs) == SPEC.num_train
    for image in coco.imgs.values():
        pixels = cv2.imread(str(folder / 'coco/train2017' / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3)


def test_masks_boxes_and_maps_agree(folder):
    coco = COCO(folder / 'coco/annotations/instances_val2017.json')
    for image in coco.imgs.values():
        name = image['file_name'].replace('.jpg', '.png')
        semantic = cv2.imread(
            str(folder / 'ade/ADEChallengeData2016/annotations/validation' / name),
            cv2.IMREAD_UNCHANGED,
        )
        assert semantic.dtype == np.uint8
        assert semantic.max() <= 1 + len(CLASSES)
        for annotation in coco.loadAnns(coco.getAnnIds(image['id'])):
            mask = coco.annToMask(annotation).astype(bool)
            x, y, w, h = annotation['bbox']
            ys, xs = mask.nonzero()
            assert abs(xs.min() - x) <= 1
            assert abs(xs.max() + 1 - (x + w)) <= 1
            assert abs(ys.max() + 1 - (y + h)) <= 1
            # A polygon's outline takes in up to half a pixel around the mask.
            assert (semantic[mask] == annotation['category_id'] + 1).mean() > 0.8


def test_coco_and_ade_hold_the_same_images(folder):
    for coco, ade in (('train2017', 'training'), ('val2017', 'validation')):
        ade_folder = folder / 'ade/ADEChallengeData2016/images' / ade
        assert all_files(folder / 'coco' / coco) == all_files(ade_folder)


def test_scenes_have_overlap_scale_changes_and_all_classes():
    rng = np.random.default_rng(0)
    scenes = [render_scene(rng, 128) for _ in range(50)]
    areas = [mask.sum() for scene in scenes for mask in scene.masks]
    assert max(areas) > 20 * min(areas)
    assert {label for scene in scenes for label in scene.labels} == set(range(len(CLASSES)))
    assert any((scene.semantic_map == 0).any() for scene in scenes)
    for scene in scenes:
        assert sum(mask.astype(int) for mask in scene.masks).max() <= 1


def test_what_is_there_is_left(folder):
    before = all_files(folder)
    assert not make_demo_data(folder, SPEC)
    assert all_files(folder) == before


def test_another_specification_is_refused_and_nothing_is_lost(folder):
    before = all_files(folder)
    with pytest.raises(FileExistsError, match=r'num_train=12.*give another folder'):
        make_demo_data(folder, DemoSpec(num_train=2, num_val=1))
    assert all_files(folder) == before


def test_what_an_older_version_drew_is_drawn_again(tmp_path):
    spec = DemoSpec(num_train=2, num_val=1)
    make_demo_data(tmp_path, spec)
    fresh = all_files(tmp_path)
    spec_file = tmp_path / 'demo_spec.json'
    spec_file.write_text(json.dumps({**json.loads(spec_file.read_text()), 'generator': 'older'}))
    assert make_demo_data(tmp_path, spec)
    assert all_files(tmp_path) == fresh


def test_an_interrupted_run_can_be_repeated(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    spec = DemoSpec(num_train=2, num_val=1)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr('convnext_dense.datasets.demo.dataset._coco_annotations', interrupt)
        make_demo_data(tmp_path / 'demo', spec)
    assert not (tmp_path / 'demo').exists()
    assert make_demo_data(tmp_path / 'demo', spec)


def test_a_folder_with_other_files_is_refused_and_kept(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(FileExistsError, match='holds other files'):
        make_demo_data(tmp_path, SPEC)
    assert list(all_files(tmp_path)) == ['thesis.tex']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(num_val=0), 'num_val: it must be from 1 to'),
        (dict(size=8), 'size: it must be from 32 to'),
        (dict(seed=-1), 'seed: it must be from 0 to'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DemoSpec(**arguments)


class TestDamage:
    def test_an_incomplete_dataset_is_made_again(self, tmp_path):
        spec = DemoSpec(num_train=2, num_val=1, size=32)
        make_demo_data(tmp_path, spec)
        shutil.rmtree(tmp_path / 'ade')
        assert make_demo_data(tmp_path, spec)
        assert (tmp_path / 'ade').is_dir()

    def test_a_damaged_record_is_named(self, tmp_path):
        make_demo_data(tmp_path, DemoSpec(num_train=2, num_val=1, size=32))
        (tmp_path / 'demo_spec.json').write_text('{')
        with pytest.raises(FileExistsError, match=r'demo_spec\.json is damaged'):
            make_demo_data(tmp_path)
