"""A real-time DETR of the zoo through the commands, with a small backbone and small images."""

import json
import math
import re

import pytest
from helpers.demo_runs import FEW_WORKERS, ROOT
from helpers.several.processes import run_in_processes
from mmengine.config import Config

CONFIG = ROOT / 'configs' / 'd_fine' / 'd-fine_convnext-t-in22k_8xb4-80e_coco.py'
SMALL = [
    *FEW_WORKERS,
    'train_dataloader.dataset.pipeline.7.scale=(64,64)',
    'custom_hooks.1.switch_pipeline.4.scale=(64,64)',
    'val_dataloader.dataset.pipeline.1.scale=(64,64)',
    'test_dataloader.dataset.pipeline.1.scale=(64,64)',
    'model.data_preprocessor.batch_augments.0.random_size_range=(64,96)',
    'model.neck.out_channels=32',
    'model.neck.num_heads=4',
    'model.neck.feedforward_channels=32',
    'model.neck.num_blocks=1',
    'model.bbox_head.in_channels=[32,32,32]',
    'model.bbox_head.dims=32',
    'model.bbox_head.num_heads=4',
    'model.bbox_head.num_queries=20',
    'model.bbox_head.num_layers=2',
    'model.bbox_head.num_denoising=10',
    'model.bbox_head.feedforward_channels=32',
]


FLAGS = ['--backbone', 'convnext_atto', '--from-scratch', '--data', 'data/demo/coco', '--epochs', '2']


@pytest.fixture(scope='module')
def detector(train):
    """An epoch of one step with augmentation, and one without."""
    return train(CONFIG, SMALL, 'epoch_2.pth', *FLAGS, '--batch-size', '16')


class TestRealTimeDETR:
    def test_trains_with_another_backbone_on_other_data(self, detector):
        assert 'coco/bbox_mAP' in detector.result.out
        (log,) = detector.work_dir.glob('*/*.log')
        assert log.read_text().count('Switch pipeline now!') == 1
        cfg = Config.fromfile(detector.work_dir / CONFIG.name)
        assert cfg.model.bbox_head.num_classes == 4
        assert cfg.model.neck.in_channels == [80, 160, 320]
        assert [hook.switch_epoch for hook in cfg.custom_hooks if 'switch_epoch' in hook] == [1, 1]

    def test_predicts_in_tiles(self, detector, command, demo_data, tmp_path):
        photo = next((demo_data / 'data' / 'demo' / 'coco').rglob('*.jpg'))
        result = command('predict', detector.checkpoint, photo, '--out', tmp_path, '--tile', '64', '--score', '0')
        assert result.status == 0, result.err[-3000:]
        assert json.loads((tmp_path / 'predictions.json').read_text())['annotations']

    @pytest.mark.full
    def test_exports_what_predicts_the_same(self, detector, command, demo_data, tmp_path):
        photo = next((demo_data / 'data' / 'demo' / 'coco').rglob('*.jpg'))
        result = command('export', detector.checkpoint, '--out', tmp_path / 'model.onnx', '--check', photo)
        assert result.status == 0, result.err[-3000:]
        assert re.search(r'without a partner +0\n', result.out)

    @pytest.mark.full
    def test_trains_in_two_processes(self, demo_data, tmp_path):
        folder = tmp_path / 'run'
        train = ['train', CONFIG, *FLAGS, '--batch-size', '8', '--work-dir', folder, '--cfg-options', *SMALL]
        run_in_processes(2, demo_data, [train], tmp_path)
        (file,) = folder.glob('*/vis_data/scalars.json')
        losses = [row['loss'] for row in map(json.loads, file.read_text().splitlines()) if 'loss' in row]
        assert len(losses) == 2 and all(map(math.isfinite, losses))
        assert (folder / 'epoch_2.pth').is_file()
