"""Puts the switches that make training and testing faster into a config."""

import inspect
from collections.abc import Callable, Sequence

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import OPTIMIZERS

from convnext_dense.config.custom_imports import import_package
from convnext_dense.errors import UsageError
from convnext_dense.registry import SCOPE

REPLACED_BY_BF16 = ('OptimWrapper', 'AmpOptimWrapper', 'BFloat16OptimWrapper')
FOR_AMP = ('loss_scale', 'dtype', 'use_fsdp')
DDP_TYPES = (None, 'MMDistributedDataParallel', 'CPUDistributedDataParallel')


def enable_speed(cfg: Config, switches: Sequence[str]) -> None:
    """Put switches into a config, by mmengine's own fields and hooks: it then runs so in mmdet's and mmseg's tools too.

    Args:
        cfg: The config, which is changed.
        switches: Names of `SWITCHES`, in any order.

    Raises:
        UsageError: If there is no such switch, or the config has nothing that it could act on.

    Example:
        >>> cfg = Config(dict(model=dict()))
        >>> enable_speed(cfg, ['channels_last', 'autotune'])
        >>> [hook.type for hook in cfg.custom_hooks]
        ['convnext_dense.ChannelsLastHook', 'convnext_dense.CudnnAutotuneHook']
    """
    _check(switches, SWITCHES)
    import_package(cfg)
    for name, switch in SWITCHES.items():
        if name in switches:
            switch(cfg)


def enable_speed_in_testing(cfg: Config, switches: Sequence[str]) -> None:
    """Do as `enable_speed`, for switches that act in testing.

    Args:
        cfg: The config, which is changed.
        switches: Names of `IN_TESTING`, in any order.

    Raises:
        UsageError: If a switch is none of `IN_TESTING`.

    Example:
        >>> enable_speed_in_testing(Config(dict(model=dict())), ['compile'])
    """
    _check(switches, IN_TESTING)
    enable_speed(cfg, switches)


def _check(switches: Sequence[str], allowed: Sequence[str]) -> None:
    for name in switches:
        if name in SWITCHES and name not in allowed:
            raise UsageError(f'--speed {name}: it acts in training alone; testing has {", ".join(allowed)}.')
        if name not in allowed:
            raise UsageError(f'--speed: there is no switch {name!r}; choose from {", ".join(allowed)}.')


def _channels_last(cfg: Config) -> None:
    _add_hook(cfg, 'ChannelsLastHook')


def _bf16(cfg: Config) -> None:
    wrapper = _optim_wrapper(cfg, 'bf16')
    kind = _bare(wrapper.get('type', 'OptimWrapper'))
    if kind not in REPLACED_BY_BF16:
        raise UsageError(f'--speed bf16: optim_wrapper.type must be one of {", ".join(REPLACED_BY_BF16)}; got {kind}.')
    if kind == 'AmpOptimWrapper':
        print_log('bf16 takes the place of the mixed precision that the config asks for.', logger='current')
    for key in FOR_AMP:
        wrapper.pop(key, None)
    wrapper.type = f'{SCOPE}.BFloat16OptimWrapper'


def _compile(cfg: Config) -> None:
    _add_hook(cfg, 'CompileHook')


def _autotune(cfg: Config) -> None:
    cfg.setdefault('env_cfg', ConfigDict()).cudnn_benchmark = False
    _add_hook(cfg, 'CudnnAutotuneHook')


def _fused_adamw(cfg: Config) -> None:
    optimizer = _optim_wrapper(cfg, 'fused_adamw').get('optimizer') or {}
    named = optimizer.get('type')
    # Configs in pure Python name the class itself.
    kind = OPTIMIZERS.get(named) if isinstance(named, str) else named
    if kind is None or 'fused' not in inspect.signature(kind).parameters:
        raise UsageError(
            f'--speed fused_adamw: optim_wrapper.optimizer.type must be an optimizer that can be fused, such as AdamW; '
            f'got {_bare(named) if named else None}.'
        )
    optimizer.pop('foreach', None)
    optimizer.fused = True
    _add_hook(cfg, 'FusedOptimizerHook')


def _ddp(cfg: Config) -> None:
    wrapper = cfg.setdefault('model_wrapper_cfg', ConfigDict())
    if wrapper.get('type') and _bare(wrapper.type) not in DDP_TYPES:
        raise UsageError(
            f'--speed ddp: model_wrapper_cfg.type must be MMDistributedDataParallel, or left out; '
            f'got {_bare(wrapper.type)}.'
        )
    # What mmengine gives a config without a wrapper.
    wrapper.setdefault('broadcast_buffers', False)
    wrapper.setdefault('find_unused_parameters', cfg.get('find_unused_parameters', False))
    wrapper.gradient_as_bucket_view = True


def _prefetch(cfg: Config) -> None:
    if not cfg.get('train_dataloader'):
        raise UsageError('--speed prefetch: the config has no train_dataloader, whose batches could be prefetched.')
    cfg.train_dataloader.pin_memory = True
    _add_hook(cfg, 'PrefetchHook')


SWITCHES: dict[str, Callable[[Config], None]] = {
    'channels_last': _channels_last,
    'bf16': _bf16,
    'compile': _compile,
    'autotune': _autotune,
    'fused_adamw': _fused_adamw,
    'ddp': _ddp,
    'prefetch': _prefetch,
}
IN_TESTING = ('channels_last', 'compile')


def _optim_wrapper(cfg: Config, switch: str) -> ConfigDict:
    if not cfg.get('optim_wrapper'):
        raise UsageError(f'--speed {switch}: the config has no optim_wrapper, on which it acts.')
    return cfg.optim_wrapper


def _add_hook(cfg: Config, name: str) -> None:
    if not _has_hook(cfg, name):
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), ConfigDict(type=f'{SCOPE}.{name}')]


def _has_hook(cfg: Config, name: str) -> bool:
    return any(_bare(hook.get('type')) == name for hook in cfg.get('custom_hooks') or [])


def _bare(kind: str | type) -> str:
    """Return a type's name without its scope."""
    return (kind if isinstance(kind, str) else kind.__name__).split('.')[-1]
