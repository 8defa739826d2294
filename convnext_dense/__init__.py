"""ConvNeXt, and any other backbone, for OpenMMLab detectors and segmenters.

Importing the package makes ``mmcv.ops`` usable without a compiler, lets mmengine's checkpoints load safely, and
registers everything under the scope ``convnext_dense``. In a config::

    custom_imports = dict(imports=['convnext_dense'])
    model = dict(backbone=dict(type='convnext_dense.ConvNeXt', arch='tiny'))
"""

from convnext_dense.compat import allow_mmengine_globals, allow_new_transformers, provide_mmcv_ext

# Before anything of mmcv's is imported: mmcv.ops looks for its extension at import.
provide_mmcv_ext()
allow_mmengine_globals()
allow_new_transformers()

from convnext_dense import backbones, hooks, optim, training, weights  # noqa: E402
from convnext_dense.version import __version__  # noqa: E402

__all__ = ['__version__', 'backbones', 'hooks', 'optim', 'training', 'weights']
