"""ConvNeXt, and any other backbone, for OpenMMLab detectors and segmenters.

Importing the package makes ``mmcv.ops`` usable without a compiler, lets mmengine's checkpoints load safely, and
registers everything under the scope ``convnext_dense``. In a config::

    custom_imports = dict(imports=['convnext_dense'])
    model = dict(backbone=dict(type='convnext_dense.ConvNeXt', arch='tiny'))

In Python, the backbones have the same names, and `create_backbone` makes one with its published weights::

    from convnext_dense import ConvNeXt, create_backbone

It imports nothing heavy: what mmengine, mmcv and mmpretrain need is done as soon as they are imported.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from convnext_dense.compat import prepare_imports, when_imported
from convnext_dense.image_limit import limit_pixels
from convnext_dense.version import __version__

if TYPE_CHECKING:
    from convnext_dense.backbones import ConvNeXt, ModernizedResNet, TimmBackbone
    from convnext_dense.config import create_backbone
    from convnext_dense.inference import load_model

__all__ = ['ConvNeXt', 'ModernizedResNet', 'TimmBackbone', '__version__', 'create_backbone', 'load_model']

# The room of each name that is imported when it is first used.
EXPORTS = dict(
    ConvNeXt='backbones',
    ModernizedResNet='backbones',
    TimmBackbone='backbones',
    create_backbone='config',
    load_model='inference',
)

ROOMS = (
    'analysis',
    'apis',
    'backbones',
    'checks',
    'comparison',
    'config',
    'datasets',
    'detectors',
    'distillation',
    'evaluation',
    'export',
    'hooks',
    'inference',
    'layers',
    'optim',
    'registry',
    'reports',
    'results',
    'runtime',
    'training',
    'visualization',
    'weights',
)

# What a checkpoint's name begins with, and what mmengine's log calls that.
BACKENDS = {'': 'local', 'http://': 'http', 'https://': 'http', 'timm://': 'timm', 'huggingface://': 'huggingface'}


def __getattr__(name: str) -> object:
    # `convnext_dense.backbones` works without an import of its own.
    if name in ROOMS:
        return import_module(f'{__name__}.{name}')
    if name in EXPORTS:
        return getattr(import_module(f'{__name__}.{EXPORTS[name]}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def _read_checkpoints() -> None:
    """Make mmengine's `load_from` and `resume` read what `read_weights` reads, with the same errors."""
    from mmengine.runner.checkpoint import CheckpointLoader

    def loader(backend: str) -> Callable[..., dict]:
        def load(source: str, map_location: object = None, **_: object) -> dict:
            return import_module('convnext_dense.weights').load_from_anywhere(source, map_location)

        # mmengine's log takes the backend from this name.
        load.__name__ = f'load_from_{backend}'
        return load

    for prefix, backend in BACKENDS.items():
        CheckpointLoader.register_scheme(prefix, loader(backend), force=True)
    import_module('convnext_dense.compat.checkpoint_loading').make_mmengine_harmless()


limit_pixels()
prepare_imports()
when_imported('mmengine', lambda: import_module('convnext_dense.registry'))
when_imported('mmengine.runner.checkpoint', _read_checkpoints)
