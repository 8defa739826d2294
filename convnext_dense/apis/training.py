"""Trains a config."""

from mmengine.config import Config

from convnext_dense.apis.runner import build_runner
from convnext_dense.config.data_places import check_data
from convnext_dense.errors import UsageError


def train(cfg: Config) -> None:
    """Train a detector or segmenter, on the GPU if there is one.

    Args:
        cfg: As `load_config` returns it.

    Raises:
        UsageError: If the data is not there, or the config has none to train with.

    Example:
        >>> from convnext_dense.config import load_config
        >>> train(load_config('mask-rcnn_convnext-demo_fpn_demo-coco'))  # doctest: +SKIP
    """
    if 'train_dataloader' not in cfg:
        raise UsageError('the config has no train_dataloader to train with.')
    check_data(cfg, 'train', 'val')
    build_runner(cfg).train()
