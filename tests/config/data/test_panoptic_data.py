"""A dataset of things and stuff is put into the configs of panoptic models."""

import sys
import types

import pytest
from helpers.data.panoptic import CATEGORIES, write_panoptic

from convnext_dense.checks.run_checks import CHECKS
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError

CONFIGS = [
    'mask2former_convnext-t_8xb2-lsj-50e_coco-panoptic',
    'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
    'mmdet::maskformer/maskformer_r50_ms-16xb1-75e_coco.py',
]


@pytest.fixture(autouse=True)
def panopticapi(monkeypatch):
    """Build the datasets without a package that PyPI does not have, and that reads maps of segments."""
    module = types.ModuleType('panopticapi')
    module.utils = types.SimpleNamespace(id2rgb=None, rgb2id=None)
    monkeypatch.setitem(sys.modules, 'panopticapi', module)
    monkeypatch.setitem(sys.modules, 'panopticapi.utils', module.utils)


@pytest.fixture
def street(tmp_path):
    write_panoptic(tmp_path / 'street')
    return tmp_path / 'street'


@pytest.mark.parametrize('name', CONFIGS)
@pytest.mark.parametrize('ending', ['.jpg', '.png'])
def test_the_checks_find_nothing_to_change(name, ending, tmp_path):
    write_panoptic(tmp_path / 'street', ending=ending)
    cfg = load_config(name, str(tmp_path / 'run'), data=str(tmp_path / 'street'))
    plan = RunPlan(cfg, ('train', 'val', 'test'))
    found = [finding.sentence for check in CHECKS for finding in check.find(plan) if finding.is_error]
    assert not [sentence for sentence in found if 'checkpoint' not in sentence]
    assert all(dataset.classes == ['car', 'dog', 'road', 'sky', 'tree'] for dataset in plan.datasets)
    assert cfg.model.panoptic_fusion_head.num_things_classes == 2
    assert cfg.model.panoptic_fusion_head.num_stuff_classes == 3


def test_box_and_mask_heads_have_the_things(street, tmp_path):
    cfg = load_config(CONFIGS[1], str(tmp_path / 'run'), data=str(street))
    assert cfg.model.roi_head.bbox_head.num_classes == cfg.model.roi_head.mask_head.num_classes == 2


def _stuff_first(root):
    write_panoptic(root, categories=CATEGORIES[::-1])


def _name_twice(root):
    write_panoptic(root, categories=[*CATEGORIES, dict(id=13, name='sky', isthing=0)])


def _other_classes(root):
    write_panoptic(root, counts=(2,), splits=('val',), categories=CATEGORIES[:-1])


def _train_alone(root):
    (root / 'annotations/panoptic_val2017.json').unlink()


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (_stuff_first, 'the categories that are things must come before the others'),
        (_name_twice, 'each category needs a name of its own'),
        (_other_classes, 'must be the same'),
        (_train_alone, "a JSON file of COCO's panoptic form for training and one for validation"),
    ],
)
def test_what_is_not_clear_is_one_sentence(spoil, sentence, street, tmp_path):
    spoil(street)
    with pytest.raises(UsageError, match=r'^data: ') as error:
        load_config(CONFIGS[1], str(tmp_path / 'run'), data=str(street))
    assert sentence in str(error.value)
