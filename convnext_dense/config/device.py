"""Fits a config to the device that this machine has."""

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from convnext_dense.config.tree import bare_type


def fit_to_device(cfg: Config) -> None:
    """Turn off what needs a GPU if there is none: fp16 mixed precision, pinned memory, and NCCL.

    bf16 stays: CPUs compute in it, and it was asked for by name.

    Args:
        cfg: The config, which is changed.

    Example:
        >>> cfg = Config(dict(launcher='none', optim_wrapper=dict(type='AmpOptimWrapper', dtype='float16')))
        >>> fit_to_device(cfg)
        >>> cfg.optim_wrapper.type if not torch.cuda.is_available() else 'OptimWrapper'
        'OptimWrapper'
    """
    if torch.cuda.is_available():
        return
    if bare_type(cfg.get('optim_wrapper', {}).get('type')) == 'AmpOptimWrapper':
        print_log('There is no GPU: training in float32 instead of mixed precision.', logger='current')
        cfg.optim_wrapper.type = 'OptimWrapper'
        cfg.optim_wrapper.pop('loss_scale', None)
        cfg.optim_wrapper.pop('dtype', None)
    cfg.setdefault('env_cfg', ConfigDict()).setdefault('dist_cfg', ConfigDict()).backend = 'gloo'
    for split in ('train', 'val', 'test'):
        if cfg.get(f'{split}_dataloader'):
            cfg[f'{split}_dataloader'].pop('pin_memory', None)
    if cfg.launcher != 'none':
        wrapper = cfg.setdefault(
            'model_wrapper_cfg',
            ConfigDict(find_unused_parameters=cfg.get('find_unused_parameters', False)),
        )
        wrapper.setdefault('type', 'convnext_dense.CPUDistributedDataParallel')
