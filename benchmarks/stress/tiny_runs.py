"""A detector and a segmenter whose steps take a fraction of a second, with everything random that real ones have."""

from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from convnext_dense.datasets.demo import DemoSpec, make_demo_data

ROOT = Path(__file__).resolve().parents[2]
DATA = DemoSpec(num_train=16, num_val=4, size=64)
# The detector counts epochs, and the segmenter steps.
STEPS_PER_EPOCH = DATA.num_train // 2
# How many steps are done, and how many were done when the process started: shared with the processes that train.
PROGRESS = get_context('fork').RawArray('q', 2)
BACKBONE = """
channels = [16, 16, 32, 32]
backbone = dict(arch=dict(_delete_=True, depths=[1, 1, 1, 1], channels=channels), drop_path_rate=0.2)
randomness = dict(seed=0)
custom_hooks = [dict(type='mmengine.StressProgressHook')]
train_dataloader = dict(batch_size=2, num_workers=2)
val_dataloader = dict(num_workers=1)
"""
CONFIGS = {
    'segmenter': """
_base_ = ['{configs}/demo/upernet_convnext-demo_demo-ade20k.py']
{backbone}
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=backbone,
    decode_head=dict(in_channels=channels, channels=16, dropout_ratio=0.1),
    auxiliary_head=dict(in_channels=channels[2], channels=16, dropout_ratio=0.1),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', _scope_='mmseg'),
    dict(type='mmseg.RandomCrop', crop_size=(64, 64)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader['dataset'] = dict(pipeline=train_pipeline)
""",
    'detector': """
_base_ = ['{configs}/demo/mask-rcnn_convnext-demo_fpn_demo-coco.py']
{backbone}
norm_cfg = dict(type='GN', num_groups=8)
extractor = dict(out_channels=16)
model = dict(
    backbone=backbone,
    neck=dict(in_channels=channels, out_channels=16, norm_cfg=norm_cfg),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=extractor,
        mask_roi_extractor=extractor,
        bbox_head=dict(in_channels=16, fc_out_channels=32),
        mask_head=dict(in_channels=16, conv_out_channels=16, num_convs=1),
    ),
)
""",
}


@HOOKS.register_module()
class StressProgressHook(Hook):
    """Says how far the training is, to whoever started the process."""

    def before_train(self, runner: Runner) -> None:
        """Note where it starts."""
        PROGRESS[0] = PROGRESS[1] = runner.iter

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Note a step."""
        PROGRESS[0] = runner.iter + 1


@dataclass(frozen=True)
class TinyRun:
    """A training, as arguments of ``convnext-dense``.

    Args:
        task: 'detector' or 'segmenter'.
        folder: Where its config and its data are.
        steps: How many steps it takes; a detector's are rounded up to whole epochs.
        interval: How many steps lie between two checkpoints; a detector has one each epoch.
        val_interval: How many steps lie between two validations, likewise.
    """

    task: str
    folder: Path
    steps: int
    interval: int
    val_interval: int

    def write(self) -> None:
        """Write the data and the config."""
        make_demo_data(self.folder / 'data' / 'demo', DATA)
        text = CONFIGS[self.task].format(configs=ROOT / 'configs', backbone=BACKBONE)
        (self.folder / f'{self.task}.py').write_text(text)

    def arguments(self, work_dir: Path) -> list[str]:
        """Return the command that starts it, or resumes it.

        Args:
            work_dir: Where its checkpoints are.
        """
        if self.task == 'detector':
            epochs = [max(1, -(-steps // STEPS_PER_EPOCH)) for steps in (self.steps, self.interval, self.val_interval)]
            length = dict(zip(('train_cfg.max_epochs', 'checkpoint', 'train_cfg.val_interval'), epochs, strict=True))
        else:
            length = {
                'train_cfg.max_iters': self.steps,
                'checkpoint': self.interval,
                'train_cfg.val_interval': self.val_interval,
            }
        length['default_hooks.checkpoint.interval'] = length.pop('checkpoint')
        options = [f'{key}={value}' for key, value in length.items()]
        options += ['default_hooks.checkpoint.max_keep_ckpts=1', 'default_hooks.logger.interval=50']
        config = str(self.folder / f'{self.task}.py')
        # The run is shorter than its schedule's warm-up, on purpose.
        skipped = ['--skip-check', 'length', 'schedule']
        return ['train', config, '--work-dir', str(work_dir), '--resume', *skipped, '--cfg-options', *options]

    @property
    def interval_in_steps(self) -> int:
        """How many steps may be lost: those between two checkpoints."""
        return -(-self.interval // STEPS_PER_EPOCH) * STEPS_PER_EPOCH if self.task == 'detector' else self.interval
