"""A config file, made into a Config that this machine can run."""

from typing import TYPE_CHECKING

from convnext_dense.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from convnext_dense.config.backbone.create import create_backbone
    from convnext_dense.config.backbone.recipe import set_recipe
    from convnext_dense.config.backbone.swap import set_backbone
    from convnext_dense.config.data.set_data import set_data
    from convnext_dense.config.find import find_config
    from convnext_dense.config.load import load_config
    from convnext_dense.config.options import enable_amp, enable_auto_scale_lr
    from convnext_dense.config.resume import set_resume
    from convnext_dense.config.schedule.batch_size import set_batch_size
    from convnext_dense.config.schedule.set_length import set_length
    from convnext_dense.config.speed.enable import enable_speed, enable_speed_in_testing
    from convnext_dense.config.speed.image_cache import keep_images
    from convnext_dense.config.training_options.accumulation import set_accumulation
    from convnext_dense.config.training_options.averaging import set_ema
    from convnext_dense.config.training_options.best_checkpoint import set_patience, set_save_best
    from convnext_dense.config.training_options.logs import set_logs

__all__ = [
    'create_backbone',
    'enable_amp',
    'enable_auto_scale_lr',
    'enable_speed',
    'enable_speed_in_testing',
    'find_config',
    'keep_images',
    'load_config',
    'set_accumulation',
    'set_backbone',
    'set_batch_size',
    'set_data',
    'set_ema',
    'set_length',
    'set_logs',
    'set_patience',
    'set_recipe',
    'set_resume',
    'set_save_best',
]

__getattr__ = lazy_exports(
    __name__,
    dict(
        create_backbone='backbone.create',
        enable_amp='options',
        enable_auto_scale_lr='options',
        enable_speed='speed.enable',
        enable_speed_in_testing='speed.enable',
        find_config='find',
        keep_images='speed.image_cache',
        load_config='load',
        set_accumulation='training_options.accumulation',
        set_backbone='backbone.swap',
        set_batch_size='schedule.batch_size',
        set_data='data.set_data',
        set_ema='training_options.averaging',
        set_length='schedule.set_length',
        set_logs='training_options.logs',
        set_patience='training_options.best_checkpoint',
        set_recipe='backbone.recipe',
        set_resume='resume',
        set_save_best='training_options.best_checkpoint',
    ),
)
