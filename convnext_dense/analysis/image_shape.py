"""The image size at which a model's multiply-adds are counted."""

from mmengine.config import Config

from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError

DETECTION_SHAPE = (800, 1280)


def default_shape(cfg: Config) -> tuple[int, int]:
    """Return the height and width in pixels at which papers count multiply-adds.

    - A detector: 800 x 1280, or the one size to which its test pipeline pads or stretches every image.
    - A segmenter that slides a window: the window's height, and four times its width. This is the largest image that
      its test pipeline resizes to.
    - Another segmenter: the size of its training crops.

    Args:
        cfg: A config with a model.

    Raises:
        UsageError: If the config has none of these sizes.

    Example:
        >>> default_shape(Config(dict(default_scope='mmdet')))
        (800, 1280)
        >>> model = dict(test_cfg=dict(mode='slide', crop_size=(512, 512)))
        >>> default_shape(Config(dict(default_scope='mmseg', model=model)))
        (512, 2048)
    """
    if cfg.default_scope == 'mmdet':
        pipeline = ((cfg.get('test_dataloader') or {}).get('dataset') or {}).get('pipeline') or []
        sizes = [size for size in map(_fixed_size, pipeline) if size]
        # mmdet's pipelines have the width first.
        width, height = _pair(sizes[-1], 'one size in test_dataloader') if sizes else DETECTION_SHAPE[::-1]
        return height, width
    test_cfg = cfg.model.get('test_cfg') or {}
    if test_cfg.get('mode') == 'slide':
        height, width = _pair(test_cfg.get('crop_size'), 'model.test_cfg.crop_size')
        return height, 4 * width
    return _pair((cfg.model.get('data_preprocessor') or {}).get('size'), 'model.data_preprocessor.size')


def _fixed_size(transform: dict) -> object:
    """Return the size that every image has after a transform; None if images have several."""
    if bare_type(transform['type']) == 'Resize' and not transform.get('keep_ratio', False):
        return transform.get('scale')
    return transform.get('size') if bare_type(transform['type']) == 'Pad' else None


def _pair(size: object, key: str) -> tuple[int, int]:
    match size:
        case [int(height), int(width)]:
            return height, width
    problem = f'the config has no {key}' if size is None else f'{key} is {size!r}'
    raise UsageError(f'shape: {problem}; give the height and width to count at.')
