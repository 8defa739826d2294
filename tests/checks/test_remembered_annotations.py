"""Large annotation files are read once; the next run says the same of them."""

import json

import pytest
from helpers.data.large_coco import CLASSES, write_large_coco

from convnext_dense.checks import check_run
from convnext_dense.checks.annotations import kept_file
from convnext_dense.checks.images.samples import list_samples
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config import load_config
from convnext_dense.datasets.cache import keys
from convnext_dense.datasets.cache.folder import VARIABLE

# What reads the annotations, and needs no pixels.
LOOKED = ('images', 'labels', 'keys', 'schedule', 'heads')


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / 'cache'))


@pytest.fixture
def large(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(keys, 'LARGE_BYTES', 1)
    write_large_coco(tmp_path / 'set', images=40, objects=60)
    file = tmp_path / 'set' / 'annotations' / 'instances_train2017.json'
    content = json.loads(file.read_text())
    content['annotations'][0]['bbox'] = [5000, 5000, 10, 10]
    content['annotations'][1]['segmentation'] = [[1, 2, 3, 4]]
    file.write_text(json.dumps(content))
    return tmp_path / 'set'


def _plan(root, **options) -> RunPlan:
    cfg = load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco')
    cfg.train_dataloader.dataset.update(data_root=str(root), metainfo=dict(classes=CLASSES), **options)
    cfg.work_dir = str(root.parent / 'work')
    return RunPlan(cfg, ('train',))


def _warnings(plan: RunPlan) -> list[str]:
    return [finding.sentence for finding in check_run(plan, LOOKED)]


def _refuse(path: str, kind: str) -> None:
    raise AssertionError(f'{path} was read')


def test_warnings_are_said_again_without_reading(large, monkeypatch):
    plan = _plan(large)
    first = _warnings(plan), list_samples(plan, plan.datasets[0])
    assert [sentence for sentence in first[0] if 'a bbox outside of the image' in sentence]
    assert [sentence for sentence in first[0] if 'a polygon of fewer than three points' in sentence]
    assert len(first[1]) < 40
    monkeypatch.setattr(kept_file, 'CocoFile', _refuse)
    plan = _plan(large)
    assert (_warnings(plan), list_samples(plan, plan.datasets[0])) == first


def test_another_dataset_of_the_file_is_looked_at_again(large, monkeypatch):
    _warnings(_plan(large))
    monkeypatch.setattr(kept_file, 'CocoFile', _refuse)
    with pytest.raises(AssertionError, match='was read'):
        list(kept_file.KeptCocoFile(str(large / 'annotations/instances_train2017.json'), 'panoptic').images)
    with pytest.raises(AssertionError, match='was read'):
        kept_file.KeptCocoFile(str(large / 'annotations/instances_train2017.json')).boxes  # noqa: B018 - is read by it


def test_errors_are_said_again(large):
    file = large / 'annotations' / 'instances_train2017.json'
    file.write_text(file.read_text().replace('"image_id"', '"image"', 1))
    found = [list(_plan(large).read_coco(str(file), 'instances').faults) for _ in range(2)]
    assert found[0]
    assert found[0] == found[1]
