"""Trains a config."""

from collections.abc import Collection

from mmengine.config import Config

from convnext_dense.apis.run_errors import errors_as_sentences
from convnext_dense.apis.runner import build_runner
from convnext_dense.checks import RunPlan, check_run
from convnext_dense.config.data_places import check_data
from convnext_dense.errors import UsageError


def train(cfg: Config, skip_check: Collection[str] = ()) -> None:
    """Train a detector or segmenter, on the GPU if there is one.

    Args:
        cfg: As `load_config` returns it.
        skip_check: Names of checks to leave out, as in `check_run`.

    Raises:
        UsageError: If the data is not there, the config has none to train with, or a check finds an error.

    Example:
        >>> from convnext_dense.config import load_config
        >>> train(load_config('mask-rcnn_convnext-demo_fpn_demo-coco'))  # doctest: +SKIP
    """
    if not cfg.get('train_dataloader'):
        raise UsageError('the config has no train_dataloader to train with.')
    check_data(cfg, 'train', 'val')
    check_run(RunPlan(cfg, ('train', 'val'), cfg.get('load_from')), skip_check)
    with errors_as_sentences(cfg):
        build_runner(cfg).train()
