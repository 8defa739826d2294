"""Puts the switches that make training and testing faster into a config."""

import inspect
from collections.abc import Callable, Sequence

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import OPTIMIZERS

from convnext_dense.config.custom_imports import import_package
from convnext_dense.config.speed.detectors import assign_without_waiting, batch_in_place
from convnext_dense.config.speed.fast_transforms import use_fast_transforms
from convnext_dense.config.speed.segmenters import count_classes, resize_in_part, use_byte_label_maps
from convnext_dense.config.speed.switches import SWITCHES, TEST_SWITCHES, check_switches
from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError
from convnext_dense.registry import SCOPE

REPLACED_BY_BF16 = ('OptimWrapper', 'AmpOptimWrapper', 'BFloat16OptimWrapper')
AMP_ARGUMENTS = ('loss_scale', 'dtype', 'use_fsdp')
DDP_TYPES = ('', 'MMDistributedDataParallel', 'CPUDistributedDataParallel')


def enable_speed(cfg: Config, switches: Sequence[str]) -> None:
    """Turn switches on in a config.

    They become mmengine's own fields and hooks, so the config has the same effect in mmdet's and mmseg's tools.

    Args:
        cfg: The config, which is changed.
        switches: Names from `switches.SWITCHES`, in any order.

    Raises:
        UsageError: If there is no such switch, or the config lacks what it acts on.

    Example:
        >>> cfg = Config(dict(model=dict()))
        >>> enable_speed(cfg, ['channels_last', 'cudnn_benchmark'])
        >>> [hook.type for hook in cfg.custom_hooks]
        ['convnext_dense.ChannelsLastHook', 'convnext_dense.CudnnAutotuneHook']
    """
    check_switches(switches, tuple(SWITCHES))
    import_package(cfg)
    for name in SWITCHES:
        if name in switches:
            _ENABLE[name](cfg)


def enable_speed_in_testing(cfg: Config, switches: Sequence[str]) -> None:
    """Turn switches on as `enable_speed` does, if they act in testing.

    Args:
        cfg: The config, which is changed.
        switches: Names from `switches.TEST_SWITCHES`, in any order.

    Raises:
        UsageError: If a switch does not act in testing, or there is no such switch.

    Example:
        >>> enable_speed_in_testing(Config(dict(model=dict())), ['compile'])
    """
    check_switches(switches, TEST_SWITCHES)
    enable_speed(cfg, switches)


def _channels_last(cfg: Config) -> None:
    _add_hook(cfg, 'ChannelsLastHook')


def _bf16(cfg: Config) -> None:
    wrapper = _optim_wrapper(cfg, 'bf16')
    kind = bare_type(wrapper.get('type', 'OptimWrapper'))
    if kind not in REPLACED_BY_BF16:
        raise UsageError(
            f'speed: bf16 needs optim_wrapper.type to be one of {", ".join(REPLACED_BY_BF16)}; got {kind}.'
        )
    if kind == 'AmpOptimWrapper':
        print_log("bf16 replaces the config's mixed precision.", logger='current')
    for key in AMP_ARGUMENTS:
        wrapper.pop(key, None)
    wrapper.type = f'{SCOPE}.BFloat16OptimWrapper'


def _compile(cfg: Config) -> None:
    _add_hook(cfg, 'CompileHook')


def _cudnn_benchmark(cfg: Config) -> None:
    # The hook decides when it is on.
    cfg.setdefault('env_cfg', ConfigDict()).cudnn_benchmark = False
    _add_hook(cfg, 'CudnnAutotuneHook')


def _fused_adamw(cfg: Config) -> None:
    optimizer = _optim_wrapper(cfg, 'fused_adamw').get('optimizer') or {}
    named = optimizer.get('type')
    # Configs in pure Python name the class itself.
    kind = OPTIMIZERS.get(named) if isinstance(named, str) else named
    if kind is None or 'fused' not in inspect.signature(kind).parameters:
        raise UsageError(
            'speed: fused_adamw needs optim_wrapper.optimizer.type to be an optimizer with a fused form, such as '
            f'AdamW; got {bare_type(named) if named else None}.'
        )
    optimizer.pop('foreach', None)
    optimizer.fused = True
    _add_hook(cfg, 'FusedOptimizerHook')


def _ddp(cfg: Config) -> None:
    wrapper = cfg.setdefault('model_wrapper_cfg', ConfigDict())
    kind = bare_type(wrapper.get('type'))
    if kind not in DDP_TYPES:
        raise UsageError(
            f'speed: ddp needs model_wrapper_cfg.type to be MMDistributedDataParallel, or absent; got {kind}.'
        )
    # mmengine's defaults for a config without a wrapper.
    wrapper.setdefault('broadcast_buffers', False)
    wrapper.setdefault('find_unused_parameters', cfg.get('find_unused_parameters', False))
    wrapper.gradient_as_bucket_view = True


def _prefetch(cfg: Config) -> None:
    if not cfg.get('train_dataloader'):
        raise UsageError('speed: prefetch needs a train_dataloader, and the config has none.')
    cfg.train_dataloader.pin_memory = True
    _add_hook(cfg, 'PrefetchHook')


def _waits(cfg: Config) -> None:
    assign_without_waiting(cfg)
    _add_hook(cfg, 'OneTransferHook')


def _data(cfg: Config) -> None:
    use_fast_transforms(cfg)
    batch_in_place(cfg)
    use_byte_label_maps(cfg)
    resize_in_part(cfg)
    count_classes(cfg)


_ENABLE: dict[str, Callable[[Config], None]] = {
    'channels_last': _channels_last,
    'bf16': _bf16,
    'compile': _compile,
    'cudnn_benchmark': _cudnn_benchmark,
    'fused_adamw': _fused_adamw,
    'ddp': _ddp,
    'prefetch': _prefetch,
    'waits': _waits,
    'data': _data,
}


def _optim_wrapper(cfg: Config, switch: str) -> ConfigDict:
    if not cfg.get('optim_wrapper'):
        raise UsageError(f'speed: {switch} needs an optim_wrapper, and the config has none.')
    return cfg.optim_wrapper


def _add_hook(cfg: Config, name: str) -> None:
    if not _has_hook(cfg, name):
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), ConfigDict(type=f'{SCOPE}.{name}')]


def _has_hook(cfg: Config, name: str) -> bool:
    return any(bare_type(hook.get('type')) == name for hook in cfg.get('custom_hooks') or [])
