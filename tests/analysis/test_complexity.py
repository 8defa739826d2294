"""The count of parameters and multiply-adds, against sums by hand."""

import runpy
import sys
from pathlib import Path

import mmdet
import pytest
from mmengine.config import Config

from convnext_dense.analysis.complexity import BOX_ROIS, MASK_ROIS, complexity_table, default_shape, measure_complexity
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
DETECTOR = str(ROOT / 'configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py')
SEGMENTER = str(ROOT / 'configs/demo/upernet_convnext-demo_demo-ade20k.py')
CASCADE = str(ROOT / 'configs/cascade_mask_rcnn/cascade-mask-rcnn_convnext-t_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py')
# ConvNeXt's widths and depths in the demo configs.
WIDTHS, DEPTHS = [32, 64, 128, 256], [1, 1, 3, 1]


def backbone_flops(pixels):
    """A stem of 4x4, and per stage a 2x2 step and blocks of a depthwise 7x7 and two linear layers of four times."""
    flops, before = 0, 3
    for width, depth, stride in zip(WIDTHS, DEPTHS, (4, 2, 2, 2), strict=True):
        pixels //= stride**2
        flops += pixels * before * width * stride**2
        flops += pixels * depth * (49 * width + 8 * width**2)
        before = width
    return flops


@pytest.fixture(scope='module')
def detector():
    return load_config(DETECTOR)


@pytest.fixture(scope='module')
def segmenter():
    return load_config(SEGMENTER)


def test_a_two_stage_detector_by_hand(detector):
    parts = measure_complexity(detector, (64, 128)).parts
    assert list(parts) == ['backbone', 'neck', 'rpn_head', 'roi_head']
    assert parts['backbone'][1] == backbone_flops(64 * 128)
    levels = [64 * 128 // stride**2 for stride in (4, 8, 16, 32)]
    lateral = sum(width * 64 * pixels for width, pixels in zip(WIDTHS, levels, strict=True))
    assert parts['neck'][1] == lateral + 64 * 64 * 9 * sum(levels)
    # The fifth level is the fourth, every other pixel: 1 x 2 of 2 x 4. Three anchors, a score and four offsets each.
    assert parts['rpn_head'][1] == (64 * 64 * 9 + 64 * 3 * 5) * (sum(levels) + 2)
    box = 64 * 49 * 256 + 256 * 256 + 256 * (5 + 4 * 4)
    mask = 2 * 64 * 64 * 9 * 14**2 + 64 * 64 * 4 * 14**2 + 64 * 4 * 28**2
    assert parts['roi_head'][1] == BOX_ROIS * box + MASK_ROIS * mask


def test_the_config_stays_as_it_was(detector):
    before = detector.to_dict()
    measure_complexity(detector, (64, 64))
    assert detector.to_dict() == before


def test_every_head_of_a_cascade_is_counted():
    cfg = load_config(CASCADE)
    three = measure_complexity(cfg, (64, 64))
    roi_head = cfg.model.roi_head
    roi_head.update(num_stages=1, stage_loss_weights=[1], bbox_head=roi_head.bbox_head[:1])
    cfg.model.train_cfg.rcnn = cfg.model.train_cfg.rcnn[:1]
    one = measure_complexity(cfg, (64, 64))
    assert three.parts['roi_head'] == tuple(3 * number for number in one.parts['roi_head'])


def test_a_detector_without_masks_has_box_heads_alone(detector):
    with_masks = measure_complexity(detector, (64, 64)).parts['roi_head'][1]
    cfg = Config(detector.to_dict())
    cfg.model.roi_head.update(mask_head=None, mask_roi_extractor=None)
    mask = 2 * 64 * 64 * 9 * 14**2 + 64 * 64 * 4 * 14**2 + 64 * 4 * 28**2
    assert measure_complexity(cfg, (64, 64)).parts['roi_head'][1] == with_masks - MASK_ROIS * mask


def test_a_single_stage_detector_by_hand(detector):
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
    # A tower each for the classes and the boxes.
    assert parts['bbox_head'][1] == pixels * 9 * (2 * 64 * 64 + 64 * 4 + 64 * 4)


def test_a_segmenters_auxiliary_head_has_parameters_and_no_multiply_adds(segmenter):
    complexity = measure_complexity(segmenter)
    # A 3x3 convolution with its norm, and a 1x1 to five classes.
    auxiliary = 128 * 64 * 9 + 2 * 64 + 64 * 5 + 5
    assert complexity.parts['auxiliary_head'] == (auxiliary, 0)
    assert complexity.parts['backbone'][1] == backbone_flops(128 * 128)
    assert complexity.params == sum(params for params, _ in complexity.parts.values())
    assert complexity.flops == sum(flops for _, flops in complexity.parts.values())


def test_the_shape_is_that_of_the_papers(detector, segmenter):
    assert default_shape(detector) == (800, 1280)
    assert default_shape(segmenter) == (128, 128)
    slide = Config(segmenter.to_dict())
    slide.model.test_cfg = dict(mode='slide', crop_size=(640, 640), stride=(426, 426))
    assert default_shape(slide) == (640, 2560)


def test_the_table_has_every_part_the_totals_and_the_shape(detector):
    table = complexity_table(detector, (64, 128))
    complexity = measure_complexity(detector, (64, 128))
    for name, (params, _) in complexity.parts.items():
        assert f'{params / 1e6:.2f}M' in next(line for line in table.splitlines() if line.startswith(name))
    assert f'{complexity.params / 1e6:.2f}M' in table
    assert f'{complexity.flops / 1e9:.2f}G' in table
    assert '64 x 128' in table


@pytest.mark.parametrize(
    ('shape', 'says'), [((0, 64), 'must be positive; got 0 x 64'), ((8, 8), 'cannot take an image of 8 x 8')]
)
def test_a_shape_that_no_image_has(detector, shape, says):
    with pytest.raises(UsageError, match=says):
        measure_complexity(detector, shape)


def test_a_segmenter_that_says_no_size_needs_a_shape(segmenter):
    cfg = Config(segmenter.to_dict())
    cfg.model.data_preprocessor.size = None
    with pytest.raises(UsageError, match='give the shape'):
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
def test_what_cannot_be_counted_is_named(config, says):
    cfg = load_config(str(Path(mmdet.__file__).parent / '.mim/configs' / config))
    with pytest.raises(UsageError, match=says):
        measure_complexity(cfg, (64, 64))


class TestTool:
    def run(self, monkeypatch, *args):
        monkeypatch.setattr(sys, 'argv', ['get_flops.py', *args])
        runpy.run_path(str(ROOT / 'tools/get_flops.py'), run_name='__main__')

    def test_prints_the_table(self, monkeypatch, capsys):
        arch = 'model.backbone.arch.depths=[1,1,1,1]'
        self.run(monkeypatch, DETECTOR, '--shape', '64', '128', '--cfg-options', arch)
        printed = capsys.readouterr().out
        assert 'one image of 64 x 128' in printed
        cfg = load_config(DETECTOR, cfg_options={'model.backbone.arch.depths': [1, 1, 1, 1]})
        assert complexity_table(cfg, (64, 128)) in printed

    @pytest.mark.parametrize(
        ('args', 'says'),
        [
            (['no.py'], 'there is no file no.py'),
            ([DETECTOR, '--shape', '64', '-1'], 'must be positive; got 64 x -1'),
            ([DETECTOR, '--cfg-options', 'model.backbone.arch=tinny'], "got 'tinny'"),
        ],
    )
    def test_a_mistake_is_one_line_and_exits_with_2(self, monkeypatch, capsys, args, says):
        with pytest.raises(SystemExit) as exit_status:
            self.run(monkeypatch, *args)
        assert exit_status.value.code == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith('error: ')
        assert says in error
