"""What the switch `data` changes in a detector besides its transforms."""

from mmengine.config import Config
from mmengine.registry import MODELS

from convnext_dense.config.speed.fast_transforms import find_class
from convnext_dense.config.tree import bare_type, typed_parts
from convnext_dense.datasets.checked_loading import is_a
from convnext_dense.registry import SCOPE

PREPROCESSOR = 'DetDataPreprocessor'


def batch_in_place(cfg: Config) -> None:
    """Take this package's data preprocessor for a detector, whose batches are the same.

    Args:
        cfg: The config, which is changed. A preprocessor that is derived from mmdet's stays as it is.

    Example:
        >>> cfg = Config(dict(model=dict(data_preprocessor=dict(type='mmdet.DetDataPreprocessor'))))
        >>> batch_in_place(cfg)
        >>> cfg.model.data_preprocessor.type
        'convnext_dense.DetDataPreprocessor'
    """
    for part in typed_parts(cfg.get('model')):
        if bare_type(part['type']) != PREPROCESSOR:
            continue
        if is_a(find_class(part, MODELS, cfg.get('default_scope')), f'mmdet.{PREPROCESSOR}', strictly=True):
            part['type'] = f'{SCOPE}.{PREPROCESSOR}'
            part.pop('_scope_', None)
