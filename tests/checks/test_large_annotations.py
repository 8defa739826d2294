"""The checks read large annotation files."""

import pytest
from helpers.data.large_coco import CLASSES, write_large_coco

from convnext_dense.checks.annotations.find import find_in_annotations
from convnext_dense.checks.classes_and_heads.classes import find_in_classes
from convnext_dense.checks.files import find_in_files
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config import load_config

CHECKS = find_in_files, find_in_annotations, find_in_classes


@pytest.mark.parametrize(
    ('images', 'objects'), [(600, 4_000), pytest.param(30_000, 215_000, marks=pytest.mark.full)], ids=['small', 'large']
)
def test_nothing_is_found_in_a_large_dataset(images, objects, tmp_path):
    write_large_coco(tmp_path, images, objects)
    cfg = load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco')
    cfg.train_dataloader.dataset.update(data_root=str(tmp_path), metainfo=dict(classes=CLASSES))
    plan = RunPlan(cfg, ('train',))
    assert not [finding.sentence for find in CHECKS for finding in find(plan)]


def test_one_missing_image_of_many_is_found(tmp_path):
    write_large_coco(tmp_path, 600, 10)
    (tmp_path / 'train2017' / f'{7:012d}.jpg').unlink()
    cfg = load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco')
    cfg.train_dataloader.dataset.update(data_root=str(tmp_path), metainfo=dict(classes=CLASSES))
    (finding,) = find_in_files(RunPlan(cfg, ('train',)))
    assert finding.sentence.endswith('train2017/000000000007.jpg.')
