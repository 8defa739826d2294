"""Fits a config's data preprocessor to the channels of its images."""

from mmengine.config import Config

from convnext_dense.config.custom_imports import import_package
from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError

PREPROCESSORS = ('DetDataPreprocessor', 'SegDataPreProcessor')
# What mmdet's and mmseg's own take.
COMMON_CHANNELS = (1, 3)


def fit_data_preprocessor(cfg: Config) -> None:
    """Choose this package's data preprocessor if images have other than one or three channels.

    How many there are is the length of its mean, or what the backbone takes.

    Args:
        cfg: The config, which is changed.

    Example:
        >>> preprocessor = dict(type='DetDataPreprocessor', mean=[0.5] * 4, std=[0.2] * 4)
        >>> cfg = Config(dict(model=dict(data_preprocessor=preprocessor)))
        >>> fit_data_preprocessor(cfg)
        >>> cfg.model.data_preprocessor.type
        'convnext_dense.DetDataPreprocessor'
    """
    preprocessor = cfg.model.get('data_preprocessor')
    if not isinstance(preprocessor, dict) or bare_type(preprocessor.get('type')) not in PREPROCESSORS:
        return
    given = {name: preprocessor.get(name) or [0] for name in ('mean', 'std')}
    for name, values in given.items():
        if not isinstance(values, list | tuple) or not all(isinstance(value, int | float) for value in values):
            raise UsageError(
                f'model.data_preprocessor.{name} must be a list of numbers, one a channel; got {values!r}.'
            )
    channels = [len(values) for values in given.values()]
    channels.append((cfg.model.get('backbone') or {}).get('in_channels', 3))
    if any(number not in COMMON_CHANNELS for number in channels):
        preprocessor.type = f'convnext_dense.{bare_type(preprocessor.type)}'
        import_package(cfg)
