"""Sheets of the same few images at each validation."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.visualization import LocalVisBackend, MLflowVisBackend, TensorboardVisBackend
from PIL import Image

from convnext_dense.apis.reporting.validation_sheets import ValidationSheetsHook
from convnext_dense.evaluation.recording.record import ShownImage, ValidationRecord
from convnext_dense.evaluation.recording.shown_images import sample_indices

SQUARE = dict(label=0, box=[4.0, 4.0, 20.0, 20.0])
COUNT = 40


def backend(kind, pictures):
    """A backend that notes what it is given."""
    made = object.__new__(kind)
    made.add_image = lambda name, image, step: pictures.append((kind, name, image, step))
    return made


@pytest.fixture
def run(tmp_path):
    """A run, with the pictures that its backends got, and what it warned of."""
    pictures, warnings = [], []
    logger = logging.getLogger('sheets')
    logger.warning = warnings.append
    kinds = LocalVisBackend, TensorboardVisBackend, MLflowVisBackend
    visualizer = SimpleNamespace(_vis_backends={kind.__name__: backend(kind, pictures) for kind in kinds})
    cfg = Config(dict(val_evaluator=dict(type='CocoMetric')))
    runner = SimpleNamespace(visualizer=visualizer, work_dir=str(tmp_path), logger=logger, iter=30, cfg=cfg)
    return SimpleNamespace(runner=runner, pictures=pictures, warnings=warnings)


def record(folder, maps=False, place='epoch 3'):
    """What a validation found, in its samples and in the images that were worst in it."""
    shown = []
    for index in sorted({*sample_indices(COUNT), 1, 2}):
        file = folder / f'{index}.png'
        Image.fromarray(np.full((32, 48, 3), 5 * index, np.uint8)).save(file)
        found = dict(found=[dict(SQUARE, score=0.9)], truth=[SQUARE])
        label_maps = dict(maps=(np.eye(32, 48, dtype=np.int16),) * 2)
        shown.append(ShownImage(index, str(file), 0.5, (32, 48), **(label_maps if maps else found)))
    metrics = {'coco/bbox_mAP': 0.25}
    arrays = dict(confusion=np.zeros((2, 2))) if maps else {}
    colors = [(200, 30, 30), (30, 30, 200)]
    return ValidationRecord(['cat', 'dog'], colors, place, metrics, 6, COUNT, np.zeros(6), shown, arrays=arrays)


class TestValidationSheets:
    @pytest.mark.parametrize('maps', [False, True])
    def test_are_kept_in_the_work_dir_and_in_the_logs(self, run, tmp_path, maps):
        ValidationSheetsHook().after_validation_record(run.runner, record(tmp_path, maps))
        with Image.open(tmp_path / 'validation' / 'epoch_3.jpg') as sheet:
            # Four pairs, in two rows of four.
            assert sheet.width == 1540
            size = sheet.size
        assert [(kind, name, step) for kind, name, _, step in run.pictures] == [
            (TensorboardVisBackend, 'validation', 30),
            (MLflowVisBackend, 'validation/epoch_3.png', 30),
        ]
        assert run.pictures[0][2].shape == (size[1], size[0], 3)
        assert run.warnings == []

    def test_show_the_same_images_whatever_the_others_are(self, run, tmp_path):
        first, second = record(tmp_path), record(tmp_path)
        second.shown = [image for image in second.shown if image.index in sample_indices(COUNT)]
        for found in (first, second):
            ValidationSheetsHook().after_validation_record(run.runner, found)
        assert (run.pictures[0][2] == run.pictures[2][2]).all()

    def test_an_image_that_is_gone_is_one_warning(self, run, tmp_path):
        found = record(tmp_path)
        for file in tmp_path.glob('*.png'):
            file.unlink()
        ValidationSheetsHook().after_validation_record(run.runner, found)
        (warning,) = run.warnings
        assert warning.startswith('The images of this validation are not drawn: FileNotFoundError')
        assert not (tmp_path / 'validation').exists()
        assert run.pictures == []
