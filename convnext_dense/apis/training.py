"""Trains a config."""

from collections.abc import Collection
from contextlib import nullcontext

from mmengine.config import Config

from convnext_dense.apis.errors.run_errors import errors_as_sentences
from convnext_dense.apis.launching.signals import stopped_by_signals
from convnext_dense.apis.reporting.pages import report_finished_run
from convnext_dense.apis.reporting.run_facts import RunFactsHook
from convnext_dense.apis.reporting.validation_sheets import ValidationSheetsHook
from convnext_dense.apis.runner import build_runner
from convnext_dense.checks import RunPlan, check_run
from convnext_dense.checks.resume import describe_finished
from convnext_dense.config.machine import process_number
from convnext_dense.config.resume import set_resume
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.strict_load_runner import TrainRunner
from convnext_dense.hooks.panel.panel_hook import live_panel
from convnext_dense.training.checkpoints.work_dir_lock import locked_work_dir


def train(cfg: Config, skip_check: Collection[str] = (), has_panel: bool = False) -> None:
    """Train a detector or segmenter, on the GPU if there is one.

    A run that resumes, and is finished already, says so and trains nothing.

    Args:
        cfg: As `load_config` returns it.
        skip_check: Names of checks to leave out, as in `check_run`.
        has_panel: Whether a terminal shows a live panel in place of the log's lines, as in `live_panel`.

    Raises:
        UsageError: If the data is not there, the config has none to train with, or a check finds an error.
        RunError: If training diverged, had nothing to learn from, or the disk is full.
        RunStopped: If SIGTERM, SIGINT or SIGUSR1 asked it to stop, and what was trained is saved. A KeyboardInterrupt.

    Example:
        >>> from convnext_dense.config import load_config
        >>> train(load_config('mask-rcnn_convnext-demo_fpn_demo-coco'))  # doctest: +SKIP
    """
    check_train_data(cfg)
    if cfg.get('resume') and not cfg.get('load_from'):
        set_resume(cfg)
    lock = nullcontext() if process_number() else locked_work_dir(cfg.work_dir)
    with errors_as_sentences(cfg), stopped_by_signals(), lock:
        if finished := _check(cfg, skip_check):
            print(f'resume: {finished}')
            return
        runner = build_runner(cfg, TrainRunner, skip_check)
        if not any(parameter.requires_grad for parameter in runner.model.parameters()):
            raise UsageError('model: all parameters are frozen, so there is nothing to train; look at frozen_stages.')
        runner.register_hook(RunFactsHook(cfg))
        runner.register_hook(ValidationSheetsHook())
        try:
            with live_panel(runner) if has_panel else nullcontext():
                runner.train()
        except ValueError as error:
            if 'Expected more than 1 value per channel' not in str(error):
                raise
            raise UsageError(
                'train_dataloader.batch_size: BatchNorm got a batch of one image where the model pools it to one '
                'pixel; take at least 2 images, drop_last=True, or a norm_cfg of another type.'
            ) from error
    report_finished_run(cfg.work_dir)


def check_train_data(cfg: Config) -> None:
    """Raise UsageError if a config has nothing to train with.

    Args:
        cfg: As `load_config` returns it.

    Example:
        >>> check_train_data(Config(dict(train_dataloader=dict(dataset=dict(type='CocoDataset')))))
    """
    if not (cfg.get('train_dataloader') or {}).get('dataset'):
        raise UsageError('the config has no train_dataloader.dataset to train with.')


def _check(cfg: Config, skip_check: Collection[str]) -> str:
    """Look for faults, and return why nothing is left to train, if so. What was read for it is not kept."""
    plan = RunPlan(cfg, ('train', 'val'), cfg.get('load_from'))
    check_run(plan, skip_check)
    return describe_finished(plan)
