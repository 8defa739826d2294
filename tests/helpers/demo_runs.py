"""The demo configs, cut down to a few steps."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'
DETECTOR = CONFIGS / 'demo' / 'mask-rcnn_convnext-demo_fpn_demo-coco.py'
SEGMENTER = CONFIGS / 'demo' / 'upernet_convnext-demo_demo-ade20k.py'

FEW_WORKERS = [
    f'{name}.{option}'
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader')
    for option in ('num_workers=0', 'persistent_workers=False')
]
FEW_STEPS = [*FEW_WORKERS, 'train_dataloader.batch_size=4', 'default_hooks.logger.interval=1']


def detector_options(epochs: int) -> list[str]:
    """Four steps an epoch, each followed by an evaluation and a checkpoint."""
    return [
        *FEW_STEPS,
        f'train_cfg.max_epochs={epochs}',
        'train_cfg.val_interval=1',
        'default_hooks.checkpoint.interval=1',
    ]


def segmenter_options(iters: int) -> list[str]:
    """An evaluation at the end, and a checkpoint every other step."""
    return [
        *FEW_STEPS,
        f'train_cfg.max_iters={iters}',
        f'train_cfg.val_interval={iters}',
        'default_hooks.checkpoint.interval=2',
    ]
