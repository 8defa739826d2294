"""The count of parameters and multiply-adds, against sums by hand."""

from pathlib import Path

import mmdet
import pytest
from mmengine.config import Config

from convnext_dense.analysis import default_shape, measure_complexity
from convnext_dense.analysis.counters import BOX_ROIS, MASK_ROIS
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CASCADE = 'cascade_mask_rcnn/cascade-mask-rcnn_convnext-t_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py'
# ConvNeXt's widths and depths in the demo configs.
WIDTHS, DEPTHS = [32, 64, 128, 128], [1, 1, 3, 1]
# The multiply-adds of the demo detector's mask head for one RoI.
MASK_HEAD = (48 * 32 * 9 + 32 * 32 * 9 + 32 * 4) * 14**2


def backbone_flops(pixels):
    """Count a 4x4 stem, and for each stage a 2x2 convolution and blocks of a depthwise 7x7 and two linear layers."""
    flops, before = 0, 3
    for width, depth, stride in zip(WIDTHS, DEPTHS, (4, 2, 2, 2), strict=True):
        pixels //= stride**2
        flops += pixels * before * width * stride**2
        flops += pixels * depth * (49 * width + 8 * width**2)
        before = width
    return flops


@pytest.fixture(scope='module')
def detector():
    return load_config(str(CONFIGS / 'demo/mask-rcnn_convnext-demo_fpn_demo-coco.py'))


@pytest.fixture(scope='module')
def segmenter():
    return load_config(str(CONFIGS / 'demo/upernet_convnext-demo_demo-ade20k.py'))


class TestTwoStageDetectors:
    def test_by_hand(self, detector):
        parts = measure_complexity(detector, (64, 128)).parts
        assert list(parts) == ['backbone', 'neck', 'rpn_head', 'roi_head']
        assert parts['backbone'][1] == backbone_flops(64 * 128)
        levels = [64 * 128 // stride**2 for stride in (4, 8, 16, 32)]
        lateral = sum(width * 48 * pixels for width, pixels in zip(WIDTHS, levels, strict=True))
        assert parts['neck'][1] == lateral + 48 * 48 * 9 * sum(levels)
        # Three anchors, a score and four offsets.
        assert parts['rpn_head'][1] == (48 * 48 * 9 + 48 * 3 * 5) * sum(levels)
        # One regression for all classes.
        box_head = 48 * 49 * 256 + 256 * 256 + 256 * (5 + 4)
        assert parts['roi_head'][1] == BOX_ROIS * box_head + MASK_ROIS * MASK_HEAD

    def test_every_head_of_a_cascade_counts(self):
        cfg = load_config(str(CONFIGS / CASCADE))
        three = measure_complexity(cfg, (64, 64))
        roi_head = cfg.model.roi_head
        roi_head.update(num_stages=1, stage_loss_weights=[1], bbox_head=roi_head.bbox_head[:1])
        cfg.model.train_cfg.rcnn = cfg.model.train_cfg.rcnn[:1]
        one = measure_complexity(cfg, (64, 64))
        assert three.parts['roi_head'] == tuple(3 * number for number in one.parts['roi_head'])

    def test_without_masks_only_box_heads_count(self, detector):
        with_masks = measure_complexity(detector, (64, 64)).parts['roi_head'][1]
        cfg = Config(detector.to_dict())
        cfg.model.roi_head.update(mask_head=None, mask_roi_extractor=None)
        assert measure_complexity(cfg, (64, 64)).parts['roi_head'][1] == with_masks - MASK_ROIS * MASK_HEAD


class TestOtherModels:
    def test_a_single_stage_detector_by_hand(self, detector):
        model = dict(
            type='RetinaNet',
            backbone=detector.model.backbone,
            neck=dict(type='FPN', in_channels=WIDTHS, out_channels=64, num_outs=4),
            bbox_head=dict(
                type='RetinaHead',
                num_classes=4,
                in_channels=64,
                feat_channels=64,
                stacked_convs=1,
                anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], scales=[8], strides=[4, 8, 16, 32]),
            ),
        )
        parts = measure_complexity(Config(dict(default_scope='mmdet', model=model)), (64, 64)).parts
        pixels = sum(64 * 64 // stride**2 for stride in (4, 8, 16, 32))
        # A tower for the classes and one for the boxes.
        assert parts['bbox_head'][1] == pixels * 9 * (2 * 64 * 64 + 64 * 4 + 64 * 4)

    def test_auxiliary_heads_have_parameters_only(self, segmenter):
        complexity = measure_complexity(segmenter)
        # A 3x3 convolution with its norm, and a 1x1 to five classes.
        auxiliary = 128 * 32 * 9 + 2 * 32 + 32 * 5 + 5
        assert complexity.parts['auxiliary_head'] == (auxiliary, 0)
        assert complexity.parts['backbone'][1] == backbone_flops(128 * 128)
        assert complexity.params == sum(params for params, _ in complexity.parts.values())
        assert complexity.flops == sum(flops for _, flops in complexity.parts.values())


class TestMeasureComplexity:
    def test_the_config_stays_as_it_is(self, detector):
        before = detector.to_dict()
        measure_complexity(detector, (64, 64))
        assert detector.to_dict() == before

    def test_the_demo_configs_have_a_default_shape(self, detector, segmenter):
        assert (default_shape(detector), default_shape(segmenter)) == ((800, 1280), (128, 128))

    @pytest.mark.parametrize(
        ('shape', 'says'), [((0, 64), 'must be positive; got 0 x 64'), ((8, 8), 'cannot take an image of 8 x 8')]
    )
    def test_an_impossible_shape_is_an_error(self, detector, shape, says):
        with pytest.raises(UsageError, match=says):
            measure_complexity(detector, shape)

    def test_a_shape_replaces_a_missing_default(self, segmenter):
        cfg = Config(segmenter.to_dict())
        cfg.model.data_preprocessor.size = None
        with pytest.raises(UsageError, match='give the height and width'):
            measure_complexity(cfg)
        assert measure_complexity(cfg, (64, 64)).flops

    @pytest.mark.parametrize(
        ('config', 'says'),
        [
            ('solo/solo_r50_fpn_1x_coco.py', 'SOLO cannot be counted'),
            ('double_heads/dh-faster-rcnn_r50_fpn_1x_coco.py', 'FasterRCNN with DoubleHeadRoIHead cannot be counted'),
            ('panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py', r'of PanopticFPN\.semantic_head cannot be counted'),
        ],
    )
    def test_a_model_that_cannot_be_counted_is_named(self, config, says):
        cfg = load_config(str(Path(mmdet.__file__).parent / '.mim/configs' / config))
        with pytest.raises(UsageError, match=says):
            measure_complexity(cfg, (64, 64))

    def test_a_model_that_cannot_be_built_is_an_error(self, detector):
        cfg = Config(detector.to_dict())
        cfg.model.backbone.arch = 'tinny'
        with pytest.raises(UsageError, match=r"model.*got 'tinny'"):
            measure_complexity(cfg, (64, 64))
