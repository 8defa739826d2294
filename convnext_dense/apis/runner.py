"""Builds what trains and tests a config on this machine."""

import copy
import os
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.registry import VISUALIZERS
from mmengine.runner import Runner

from convnext_dense.config.device import fit_to_device
from convnext_dense.config.speed.fast_transforms import find_class
from convnext_dense.config.tree import bare_type
from convnext_dense.datasets.checked_loading import check_while_loading
from convnext_dense.evaluation.strict_load_runner import StrictLoadRunner, TrainRunner
from convnext_dense.registry import SCOPE
from convnext_dense.training.checkpoints.whole_checkpoints import WholeCheckpoints
from convnext_dense.training.processes.group import join_on_cpu, time_limit
from convnext_dense.training.processes.sharded_runner import ShardedTraining
from convnext_dense.training.quiet_start import QuietStart
from convnext_dense.training.resuming.runner import ExactResume

# What every run has, so that one that fails says so.
WATCHING_HOOKS = (
    'DivergenceHook',
    'TargetsHook',
    'OutOfMemoryHook',
    'RunSummaryHook',
    'RunTimeHook',
    'StopHook',
    'UnreadableFilesHook',
    'RecordValidationHook',
)

# Warnings that nobody can act on.
NOISE = (
    # Schedules count batches, also those before the first update of accumulated gradients.
    'Detected call of `scheduler.step',
    # mmseg's, of its own code and defaults.
    '``build_loss`` would be deprecated soon',
    'Default ``avg_non_ignore`` is False',
    'The draw is False, it means that the hook for visualization',
)
# What trains in place of mmengine's loops, so that a run can go on at any step.
RESUMING_LOOPS = {'EpochBasedTrainLoop': 'EpochLoop', 'IterBasedTrainLoop': 'IterLoop'}


def build_runner(cfg: Config, runner: type[Runner] = Runner, skip_check: Collection[str] = ()) -> Runner:
    """Return a runner that is fitted to this machine. The config, also the one in the work dir, stays for any machine.

    Args:
        cfg: As `load_config` returns it.
        runner: The runner's class.
        skip_check: Names of checks to leave out where samples are loaded, as in `check_while_loading`.

    Example:
        >>> from convnext_dense.config import load_config
        >>> build_runner(load_config('mask-rcnn_convnext-demo_fpn_demo-coco')).train()  # doctest: +SKIP
    """
    device_cfg = copy.deepcopy(cfg)
    fit_to_device(device_cfg)
    has_coco_metric = 'CocoMetric' in f'{cfg.get("val_evaluator")} {cfg.get("test_evaluator")}'
    if has_coco_metric:
        # Imported here so that a segmenter's run does not wait for mmdet.
        from convnext_dense.evaluation.faster_coco_metric import use_faster_coco_eval

        # The numbers are the same, so a config need not ask for it.
        use_faster_coco_eval(device_cfg)
    own = device_cfg.get('custom_hooks') or []
    there = {bare_type(hook.get('type')) for hook in own if isinstance(hook, dict)}
    for hook in own:
        if bare_type(hook.get('type')) == 'EarlyStoppingHook':
            hook.type = f'{SCOPE}.EarlyStoppingHook'
    device_cfg.custom_hooks = [
        *own,
        *(ConfigDict(type=f'{SCOPE}.{name}') for name in WATCHING_HOOKS if name not in there),
    ]
    checkpoint = (device_cfg.get('default_hooks') or {}).get('checkpoint')
    if checkpoint and bare_type(checkpoint.get('type')) == 'CheckpointHook':
        checkpoint.type = f'{SCOPE}.WholeCheckpointHook'
    _use_resuming_loop(device_cfg)
    if cfg.launcher != 'none':
        limit = time_limit(device_cfg)
        device_cfg.custom_hooks.append(ConfigDict(type=f'{SCOPE}.HeartbeatHook', limit=limit))
        _log_jointly(device_cfg)
        if cfg.launcher == 'pytorch':
            join_on_cpu(limit)
    os.environ.setdefault('LOCAL_RANK', '0')
    for message in NOISE:
        warnings.filterwarnings('ignore', message)
    _forget_visualizer(device_cfg)
    mixins = (ExactResume, QuietStart, WholeCheckpoints, ShardedTraining)
    built = type(runner.__name__, (*mixins, runner), {}).from_cfg(device_cfg)
    if has_coco_metric:
        from convnext_dense.evaluation.post_processing.heads import speed_up_heads

        speed_up_heads(built.model)
    check_while_loading(built, skip_check, any(getattr(hook, 'replaces_samples', False) for hook in built.hooks))
    if is_main_process():
        # A test leaves the work directory's own config, by which its training was made.
        is_test = issubclass(runner, StrictLoadRunner) and not issubclass(runner, TrainRunner)
        folder = built._log_dir if is_test else cfg.work_dir
        cfg.dump(Path(folder) / Path(cfg.filename).name)
    return built


def _forget_visualizer(cfg: Config) -> None:
    """Forget the visualizer of an earlier run: mmengine gives a second one of a name the first, and its folder."""
    visualizer = cfg.get('visualizer') or {}
    if isinstance(visualizer, dict) and 'type' in visualizer:
        kind: Any = find_class(visualizer, VISUALIZERS, cfg.get('default_scope'))
        getattr(kind, '_instance_dict', {}).pop(visualizer.get('name'), None)


def _use_resuming_loop(cfg: Config) -> None:
    """Train by this package's loop in place of mmengine's."""
    loop = cfg.get('train_cfg') or {}
    kind = bare_type(loop.get('type')) or ('EpochBasedTrainLoop' if loop.get('by_epoch') else 'IterBasedTrainLoop')
    if loop and kind in RESUMING_LOOPS:
        loop.pop('by_epoch', None)
        loop.type = f'{SCOPE}.{RESUMING_LOOPS[kind]}'


def _log_jointly(cfg: Config) -> None:
    """Log the losses of all processes in place of the first one's."""
    processor = cfg.get('log_processor') or ConfigDict()
    if bare_type(processor.get('type', 'LogProcessor')) == 'LogProcessor':
        cfg.log_processor = ConfigDict(processor, type=f'{SCOPE}.JointLogProcessor')
