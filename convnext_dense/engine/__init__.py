"""Hooks, and what the command-line tools call."""

from convnext_dense.engine.config import (
    enable_amp,
    enable_auto_scale_lr,
    load_config,
    set_resume,
)
from convnext_dense.engine.errors import UsageError
from convnext_dense.engine.sync_bn import RevertSyncBNHook
from convnext_dense.engine.tta import BoxTTAModel

__all__ = [
    'BoxTTAModel',
    'RevertSyncBNHook',
    'UsageError',
    'enable_amp',
    'enable_auto_scale_lr',
    'load_config',
    'set_resume',
]
