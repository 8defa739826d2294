"""A config file, made into a Config that this machine can run."""

from convnext_dense.config.backbone import set_backbone
from convnext_dense.config.load import enable_amp, enable_auto_scale_lr, load_config, set_resume
from convnext_dense.config.speed import enable_speed, enable_speed_in_testing

__all__ = [
    'enable_amp',
    'enable_auto_scale_lr',
    'enable_speed',
    'enable_speed_in_testing',
    'load_config',
    'set_backbone',
    'set_resume',
]
