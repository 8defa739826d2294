"""Applies to a config what a training run is asked for."""

from mmengine.config import Config

from convnext_dense.config.find import check_file
from convnext_dense.errors import UsageError
from convnext_dense.weights.published import PUBLISHED


def enable_amp(cfg: Config) -> None:
    """Train in mixed precision with dynamic loss scaling.

    Raises:
        UsageError: If the config has no optim_wrapper.

    Example:
        >>> cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper')))
        >>> enable_amp(cfg)
        >>> cfg.optim_wrapper.type
        'AmpOptimWrapper'
    """
    if 'optim_wrapper' not in cfg:
        raise UsageError('amp: the config has no optim_wrapper, which trains in mixed precision.')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.loss_scale = 'dynamic'


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate with the batch size.

    Raises:
        UsageError: If the config does not say for which batch size its learning rate is.

    Example:
        >>> cfg = Config(dict(auto_scale_lr=dict(base_batch_size=16)))
        >>> enable_auto_scale_lr(cfg)
        >>> cfg.auto_scale_lr.enable
        True
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise UsageError(
            'auto_scale_lr: the config has no auto_scale_lr.base_batch_size, the batch size that its lr is for; '
            'give it by cfg_options auto_scale_lr.base_batch_size=N.'
        )
    cfg.auto_scale_lr.enable = True


def check_checkpoint(checkpoint: str, argument: str, published: bool = True) -> None:
    """Raise UsageError if `checkpoint` is neither a file, nor an address, nor a published name.

    Args:
        checkpoint: The checkpoint.
        argument: The argument that it was given as.
        published: Whether the name of published weights will do. Resuming needs a training checkpoint.

    Example:
        >>> check_checkpoint('mask_rcnn_convnext_tiny_in1k_coco', 'checkpoint')
    """
    if not (published and checkpoint in PUBLISHED):
        check_file(checkpoint, argument)
