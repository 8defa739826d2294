"""Trains a config."""

from collections.abc import Collection

from mmengine.config import Config

from convnext_dense.apis.runner import build_runner
from convnext_dense.checks import RunPlan, check_run
from convnext_dense.checks.resume import describe_finished
from convnext_dense.config.data_places import check_data
from convnext_dense.config.resume import set_resume
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.strict_load_runner import TrainRunner


def train(cfg: Config, skip_check: Collection[str] = ()) -> None:
    """Train a detector or segmenter, on the GPU if there is one.

    A run that resumes, and is finished already, says so and trains nothing.

    Args:
        cfg: As `load_config` returns it.
        skip_check: Names of checks to leave out, as in `check_run`.

    Raises:
        UsageError: If the data is not there, the config has none to train with, or a check finds an error.

    Example:
        >>> from convnext_dense.config import load_config
        >>> train(load_config('mask-rcnn_convnext-demo_fpn_demo-coco'))  # doctest: +SKIP
    """
    if 'train_dataloader' not in cfg:
        raise UsageError('the config has no train_dataloader to train with.')
    check_data(cfg, 'train', 'val')
    if cfg.get('resume') and not cfg.get('load_from'):
        set_resume(cfg)
    check_run(RunPlan(cfg, ('train', 'val'), cfg.get('load_from')), skip_check)
    if cfg.get('resume') and (finished := describe_finished(cfg)):
        print(f'resume: {finished}')
        return
    build_runner(cfg, TrainRunner, skip_check).train()
