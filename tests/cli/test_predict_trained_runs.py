"""A checkpoint of a training is a model file, however the training was asked for."""

import pickle

import numpy as np
import pytest
from helpers.demo_runs import DETECTOR, FEW_WORKERS, detector_options

from convnext_dense import load_model

pytestmark = pytest.mark.full


@pytest.mark.parametrize(
    'flags',
    [
        ['--ema'],
        ['--backbone', 'timm/resnet10t', '--from-scratch'],
        ['--data', 'data/demo/coco'],
        ['--save-best'],
    ],
    ids=lambda flags: flags[0],
)
def test_it_finds_what_a_test_finds(train, command, demo_data, tmp_path, flags):
    trained = train(DETECTOR, [*detector_options(1), 'model.test_cfg.rcnn.score_thr=0.0'], 'epoch_1.pth', *flags)
    file = next(iter(trained.work_dir.glob('best_*.pth')), trained.checkpoint)
    config = next(trained.work_dir.glob('*.py'))
    # As they are predicted on here: batches of other sizes differ in the last bits.
    options = [*FEW_WORKERS, 'test_dataloader.batch_size=1']
    arguments = ['--work-dir', tmp_path, '--out', tmp_path / 'out.pkl', '--cfg-options', *options]
    result = command('test', config, file, *arguments)
    assert result.status == 0, result.err[-3000:]
    model = load_model(file, device='cpu')
    from_folder = load_model(trained.work_dir, device='cpu')
    found = 0
    for sample in pickle.loads((tmp_path / 'out.pkl').read_bytes()):
        path = demo_data / sample['img_path']
        for predicted in (model.predict(path), from_folder.predict(path)):
            assert np.array_equal(predicted.boxes, sample['pred_instances']['bboxes'].numpy())
            assert np.array_equal(predicted.scores, sample['pred_instances']['scores'].numpy())
        found += len(predicted)
    assert found > 8
