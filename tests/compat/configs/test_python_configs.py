"""Configs of mmengine's pure-Python style."""

import pytest

from convnext_dense.checks.config_keys.keys import key_findings
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError

HEAD = """
from mmcv.ops import RoIAlign, nms
from mmcv.transforms import LoadImageFromFile
from mmengine.config import read_base
from torch.nn import BatchNorm2d, ReLU
from torch.optim import SGD

from mmdet.datasets.transforms import Resize
from mmdet.models import FPN, ResNet, RetinaNet

with read_base():
    from .base import *

model = dict(
    type=RetinaNet,
    backbone=dict(type=ResNet, depth=18, norm_cfg=dict(type=BatchNorm2d), init_cfg=dict(type='Pretrained')),
    neck=dict(type=FPN, in_channels=[64, 128, 256, 512], out_channels=16, num_outs=4, act_cfg=dict(type=ReLU)),
    test_cfg=dict(nms=dict(type=nms), roi_layer=dict(type=RoIAlign)),
)
pipeline = [dict(type=LoadImageFromFile), dict(type=Resize, scale=size)]
optim_wrapper = dict(optimizer=dict(type=SGD, lr=0.1))
"""


@pytest.fixture
def load(tmp_path):
    def load(text: str = HEAD, **arguments):
        (tmp_path / 'base.py').write_text('default_scope = None\nsize = (64, 64)\n')
        (tmp_path / 'config.py').write_text(text)
        return load_config(str(tmp_path / 'config.py'), **arguments)

    return load


class TestPurePythonConfigs:
    def test_have_the_names_of_text_style(self, load):
        cfg = load()
        assert cfg.default_scope == 'mmdet'
        assert cfg.model.type == 'RetinaNet'
        assert cfg.model.backbone.norm_cfg.type == 'BN'
        assert cfg.model.neck.act_cfg.type == 'ReLU'
        assert cfg.model.test_cfg.to_dict() == {'nms': {'type': 'nms'}, 'roi_layer': {'type': 'RoIAlign'}}
        assert [transform.type for transform in cfg.pipeline] == ['LoadImageFromFile', 'Resize']
        assert cfg.optim_wrapper.optimizer.type == 'SGD'

    def test_are_the_same_when_they_are_read_again(self, load, tmp_path):
        cfg = load()
        cfg.dump(tmp_path / 'dumped.py')
        again = load_config(str(tmp_path / 'dumped.py')).to_dict()
        assert {key: again[key] for key in ('model', 'pipeline', 'default_scope')} == {
            key: cfg.to_dict()[key] for key in ('model', 'pipeline', 'default_scope')
        }

    def test_take_options_and_another_backbone(self, load):
        head = HEAD.replace('test_cfg=', "data_preprocessor=dict(type='DetDataPreprocessor'), test_cfg=")
        cfg = load(head, backbone='convnext_atto', pretrained=False, cfg_options={'model.neck.num_outs': 5})
        assert cfg.model.backbone.type == 'convnext_dense.ConvNeXt'
        assert (cfg.model.neck.in_channels, cfg.model.neck.num_outs) == ([40, 80, 160, 320], 5)
        assert not [finding for finding in key_findings(cfg) if finding.is_error]

    def test_of_the_users_own_classes_keep_their_place(self, load, tmp_path, monkeypatch):
        (tmp_path / 'my_models.py').write_text(
            'from mmdet.models import RetinaNet\n\n\nclass Mine(RetinaNet):\n    pass\n'
        )
        monkeypatch.syspath_prepend(tmp_path)
        cfg = load(
            HEAD.replace('type=RetinaNet', 'type=Mine').replace(
                'from mmdet.models', 'from my_models import Mine\nfrom mmdet.models', 1
            )
        )
        assert (cfg.model.type, cfg.default_scope) == ('my_models.Mine', 'mmdet')

    @pytest.mark.parametrize(
        ('text', 'message'),
        [
            (HEAD.replace('.base', '.nowhere'), 'nowhere'),
            (
                HEAD.replace('import FPN', 'import FPM, FPN').replace('type=FPN', 'type=FPM'),
                'Failed to import FPM from mmdet.models',
            ),
            (HEAD.replace('from torch.optim', 'from nowhere_at_all'), 'nowhere_at_all'),
            (HEAD.replace('(type=SGD, lr=0.1)', '(lr=1 / 0)'), 'line 21: ZeroDivisionError'),
            (HEAD.replace('type=RetinaNet,', 'type=ReLU,'), "has no 'default_scope'"),
        ],
    )
    def test_that_cannot_be_read_say_what_and_where(self, load, text, message):
        with pytest.raises(UsageError, match=message) as caught:
            load(text)
        assert '\n' not in str(caught.value)
