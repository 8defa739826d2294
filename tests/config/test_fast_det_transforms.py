"""What the switch `data` changes in a detector's config."""

import pytest
from mmdet.datasets.transforms import PackDetInputs
from mmdet.models import DetDataPreprocessor
from mmdet.registry import MODELS as DET_MODELS
from mmdet.registry import TRANSFORMS as DET_TRANSFORMS
from mmengine.config import Config
from mmengine.registry import MODELS, TRANSFORMS

from convnext_dense.config import enable_speed, load_config
from convnext_dense.config.tree import bare_type, typed_parts

DETECTOR = 'configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py'


@pytest.fixture
def cfg(pytestconfig):
    return load_config(str(pytestconfig.rootpath / DETECTOR))


@pytest.fixture
def own_parts():
    """Register a transform and a preprocessor that are derived from mmdet's, by mmdet's own names for them."""

    class Packed(PackDetInputs):
        pass

    class Own(DetDataPreprocessor):
        pass

    TRANSFORMS.register_module('PackDetInputs', module=Packed)
    MODELS.register_module('DetDataPreprocessor', module=Own)
    yield
    del TRANSFORMS._module_dict['PackDetInputs'], MODELS._module_dict['DetDataPreprocessor']


def types(cfg, split='train'):
    return [part['type'] for part in typed_parts(cfg[f'{split}_dataloader'].dataset.pipeline)]


class TestData:
    def test_replaces_what_has_a_faster_form(self, cfg):
        before = {split: types(cfg, split) for split in ('train', 'val')}
        enable_speed(cfg, ['data'])
        for split, old in before.items():
            new = types(cfg, split)
            assert [bare_type(kind) for kind in new] == [bare_type(kind) for kind in old]
            assert {'convnext_dense.LoadAnnotations', 'convnext_dense.PackDetInputs'} <= set(new)
        assert cfg.model.data_preprocessor.type == 'convnext_dense.DetDataPreprocessor'

    def test_arguments_stay(self, cfg):
        before = cfg.to_dict()
        enable_speed(cfg, ['data'])
        for part, other in zip(typed_parts(cfg.to_dict()), typed_parts(before), strict=True):
            assert part.keys() == other.keys()

    def test_types_may_be_classes(self, cfg):
        cfg.model.data_preprocessor.type = DetDataPreprocessor
        cfg.train_dataloader.dataset.pipeline[-1].type = PackDetInputs
        enable_speed(cfg, ['data'])
        assert cfg.model.data_preprocessor.type == 'convnext_dense.DetDataPreprocessor'
        assert types(cfg)[-1] == 'convnext_dense.PackDetInputs'

    def test_leaves_what_others_have_registered_by_the_same_names(self, own_parts):
        cfg = Config(
            dict(
                model=dict(data_preprocessor=dict(type='mmengine.DetDataPreprocessor')),
                train_dataloader=dict(dataset=dict(pipeline=[dict(type='mmengine.PackDetInputs')])),
            )
        )
        enable_speed(cfg, ['data'])
        assert cfg.model.data_preprocessor.type == 'mmengine.DetDataPreprocessor'
        assert types(cfg) == ['mmengine.PackDetInputs']

    def test_our_parts_are_found_from_mmdets_scope(self, cfg):
        enable_speed(cfg, ['data'])
        for kind in types(cfg):
            if kind.startswith('convnext_dense.'):
                assert issubclass(DET_TRANSFORMS.get(kind), DET_TRANSFORMS.get(bare_type(kind)))
        assert issubclass(DET_MODELS.get(cfg.model.data_preprocessor.type), DetDataPreprocessor)
