"""The demo configs, cut down to a few steps."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRAIN, TEST = ROOT / 'tools' / 'train.py', ROOT / 'tools' / 'test.py'
DETECTOR = ROOT / 'configs/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py'
SEGMENTER = ROOT / 'configs/demo/upernet_convnext-demo_demo-ade20k.py'

FEW_WORKERS = [
    f'{name}.{option}'
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader')
    for option in ('num_workers=0', 'persistent_workers=False')
]
FEW_STEPS = [*FEW_WORKERS, 'train_dataloader.batch_size=4', 'default_hooks.logger.interval=1']


def detector_options(epochs):
    """Four steps an epoch, each followed by an evaluation and a checkpoint."""
    return [
        *FEW_STEPS,
        f'train_cfg.max_epochs={epochs}',
        'train_cfg.val_interval=1',
        'default_hooks.checkpoint.interval=1',
    ]


def segmenter_options(iters):
    """An evaluation at the end, and a checkpoint every other step."""
    return [
        *FEW_STEPS,
        f'train_cfg.max_iters={iters}',
        f'train_cfg.val_interval={iters}',
        'default_hooks.checkpoint.interval=2',
    ]


@pytest.fixture(scope='session')
def trained(tmp_path_factory, demo_data, run_tool):
    """Each demo config trained for a few steps: its checkpoint, work dir, and what was printed."""

    class Trained:
        def __init__(self, config, options, last):
            self.config = config
            self.work_dir = tmp_path_factory.mktemp(config.stem)
            self.result = run_tool(TRAIN, config, '--work-dir', self.work_dir, '--cfg-options', *options)
            assert self.result.returncode == 0, self.result.stderr[-3000:]
            self.checkpoint = self.work_dir / last

    return {
        'detector': Trained(DETECTOR, detector_options(1), 'epoch_1.pth'),
        'segmenter': Trained(SEGMENTER, segmenter_options(4), 'iter_4.pth'),
    }
