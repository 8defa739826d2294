"""A dataset in any format trains a step of a detector and of a segmenter, and is evaluated."""

import pytest
from helpers.commands import run_command
from helpers.data.pictures import shapes
from helpers.data.written_formats import BINARY_FORMATS, MAP_FORMATS, OBJECT_FORMATS, ONE_CLASS_FORMATS, write_voc
from helpers.demo_runs import CONFIGS, DETECTOR, FEW_STEPS, SEGMENTER

BOX_DETECTOR = CONFIGS / 'demo' / 'faster-rcnn_convnext-demo_fpn_demo-coco.py'
OBJECTS = [(name, write, 3) for name, write in OBJECT_FORMATS.items()]
OBJECTS += [(name, write, 1) for name, write in ONE_CLASS_FORMATS.items()]
MAPS = [(name, write, 3) for name, write in MAP_FORMATS.items()]
MAPS += [(name, write, 1) for name, write in BINARY_FORMATS.items()]
ONE_STEP = {
    DETECTOR: ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1'],
    BOX_DETECTOR: ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1'],
    SEGMENTER: ['train_cfg.max_iters=1', 'train_cfg.val_interval=1'],
}
SCORES = {
    DETECTOR: ['coco/bbox_mAP', 'coco/segm_mAP'],
    BOX_DETECTOR: ['coco/bbox_mAP'],
    SEGMENTER: ['mIoU', 'background'],
}


def check(config, write, classes, root, *options):
    write(root / 'my set', *shapes(classes=classes))
    run = run_command(
        root, 'train', config, '--data', 'my set', *options, '--cfg-options', *FEW_STEPS, *ONE_STEP[config]
    )
    assert run.status == 0, run.err
    assert all(score in run.out for score in SCORES[config])


@pytest.mark.full
@pytest.mark.parametrize('config', ONE_STEP, ids=lambda path: path.stem.split('_')[0])
@pytest.mark.parametrize(('name', 'write', 'classes'), OBJECTS, ids=[name for name, *_ in OBJECTS])
def test_a_format_of_objects_trains(config, name, write, classes, tmp_path):
    check(config, write, classes, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize(('name', 'write', 'classes'), MAPS, ids=[name for name, *_ in MAPS])
def test_a_format_of_label_maps_trains(name, write, classes, tmp_path):
    check(SEGMENTER, write, classes, tmp_path)


def test_boxes_train_a_mask_head_if_it_is_asked_for(tmp_path):
    def write_boxes(root, pictures, names):
        write_voc(root, pictures, names, with_masks=False)

    check(DETECTOR, write_boxes, 3, tmp_path, '--boxes-to-masks')
