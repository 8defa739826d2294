"""What today's PyTorch asks of mmcv and mmengine: operators without a compiler, and safe checkpoint loading."""

from convnext_dense.compat.checkpoint_loading import allow_mmengine_globals
from convnext_dense.compat.mmcv_ext import provide_mmcv_ext
from convnext_dense.compat.mmpretrain_import import allow_new_transformers

__all__ = ['allow_mmengine_globals', 'allow_new_transformers', 'provide_mmcv_ext']
