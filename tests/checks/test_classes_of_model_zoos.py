"""No fault of classes or heads is found in a config of mmdet's or mmseg's model zoo, with its own dataset."""

import importlib
import re
import sys
import types
from pathlib import Path
from unittest import mock

import mmdet
import mmseg
import pytest
from mmengine.config import Config

from convnext_dense.checks.classes_and_heads.classes import find_in_classes
from convnext_dense.checks.classes_and_heads.heads import find_in_heads
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.errors import UsageError

FAST = {
    'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'htc/htc_r50_fpn_1x_coco.py',
    'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
    'lvis/mask-rcnn_r50_fpn_sample1e-3_ms-1x_lvis-v1.py',
    'mask2former/mask2former-r50_8xb2-160k_ade20k-512x512.py',
    'san/san-vit-b16_pascal_context-640x640.py',
    'stdc/stdc1_4xb12-80k_cityscapes-512x1024.py',
    'knet/knet-s3_r50-d8_upernet_8xb2-adamw-80k_ade20k-512x512.py',
    'unet/unet-s5-d16_fcn_4xb4-40k_drive-64x64.py',
    'mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2019.py',
    'sort/sort_faster-rcnn_r50_fpn_8xb2-4e_mot17train_test-mot17test.py',
}
CONFIGS = [
    pytest.param(
        package.__name__,
        path,
        id=str(path.relative_to(root)),
        marks=() if str(path.relative_to(root)) in FAST else pytest.mark.full,
    )
    for package in (mmdet, mmseg)
    for root in [Path(package.__file__).parent / '.mim' / 'configs']
    for path in sorted(root.glob('*/**/*.py'))
    if not path.relative_to(root).parts[0].startswith('_') and '_base_' not in path.parts
]


@pytest.fixture(scope='module', autouse=True)
def _modules_are_imported():
    """Import what a config names now. An import that fails with the patches below could not be tried again."""
    for package in (mmdet, mmseg):
        importlib.import_module(f'{package.__name__}.utils').register_all_modules(init_default_scope=False)


@pytest.fixture(autouse=True)
def _data_is_there(monkeypatch):
    """Let datasets be built without their data, and without the package that reads panoptic maps."""
    panoptic = types.ModuleType('panopticapi')
    panoptic.utils = types.SimpleNamespace(rgb2id=None)
    monkeypatch.setitem(sys.modules, 'panopticapi', panoptic)
    monkeypatch.setattr('mmengine.fileio.exists', lambda *_, **__: True)


@pytest.mark.parametrize(('scope', 'path'), CONFIGS)
def test_nothing_is_found(scope, path):
    try:
        cfg = Config.fromfile(path)
    except FileNotFoundError:
        # Four of mmdet's inherit from a file that is not there.
        assert path.parent.name in ('bytetrack', 'sort')
        return
    if 'model' not in cfg:
        return
    cfg.setdefault('default_scope', scope)
    for splits in (('train', 'val'), ('test',)):
        plan = RunPlan(cfg, splits)
        try:
            with mock.patch('os.path.isfile', return_value=True):
                plan.datasets  # noqa: B018
        except UsageError as error:
            # Some read a file or another package as soon as they are built.
            assert re.search('ImportError|FileNotFoundError|OSError|is not installed|there is no data', str(error)), (
                error
            )
            continue
        assert not [finding.sentence for find in (find_in_classes, find_in_heads) for finding in find(plan)]
