"""Applies to a config what a test is asked for: visualizations, and test-time augmentation."""

import os

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from convnext_dense.config.data_places import evaluators
from convnext_dense.config.tree import innermost_dataset
from convnext_dense.errors import UsageError

# What PackDetInputs keeps by default, as far as merging needs it.
META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')


def save_visualizations(cfg: Config, folder: str) -> None:
    """Draw each test image's predictions into a file below `folder`.

    Args:
        cfg: The config, which is changed.
        folder: Where to.

    Raises:
        UsageError: If the config has no hook that draws.

    Example:
        >>> hooks = dict(visualization=dict(type='DetVisualizationHook'))
        >>> cfg = Config(dict(default_scope='mmdet', default_hooks=hooks))
        >>> save_visualizations(cfg, '/tmp/drawn')
        >>> cfg.default_hooks.visualization.test_out_dir
        '/tmp/drawn'
    """
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise UsageError('show_dir: the config has no default_hooks.visualization, which draws the predictions.')
    folder = os.path.abspath(folder)
    hook.draw = True
    hook.interval = 1
    if cfg.default_scope == 'mmdet':
        hook.test_out_dir = folder
    else:
        cfg.visualizer.save_dir = folder


def enable_tta(cfg: Config) -> None:
    """Test with augmentation: mmseg's scales and flips, or for a detector a flip of its own test pipeline.

    mmdet merges boxes and no masks, so a detector's masks are not evaluated.

    Args:
        cfg: The config, which is changed.

    Raises:
        UsageError: If a segmenter's config has no ``tta_model`` or ``tta_pipeline``.
    """
    dataset = innermost_dataset(cfg.test_dataloader.dataset)
    if cfg.default_scope == 'mmdet':
        merge = dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
        cfg.setdefault('tta_model', ConfigDict(type='DetTTAModel', tta_cfg=merge))
        if cfg.tta_model.type == 'DetTTAModel':
            cfg.tta_model.type = 'convnext_dense.BoxTTAModel'
        cfg.setdefault('tta_pipeline', _flip_pipeline(dataset.pipeline))
        for evaluator in evaluators(cfg, 'test'):
            if 'segm' in evaluator.get('metric', []):
                print_log("tta: mmdet's merges boxes only; masks are not evaluated.", logger='current')
                evaluator.metric = 'bbox'
    for key in ('tta_model', 'tta_pipeline'):
        if key not in cfg:
            raise UsageError(f'tta: the config has no {key!r}.')
    dataset.pipeline = cfg.tta_pipeline
    cfg.tta_model.module = cfg.model
    cfg.model = cfg.tta_model


def _flip_pipeline(test_pipeline: list[dict]) -> list[dict]:
    *load, pack = test_pipeline
    pack = dict(pack)
    pack['meta_keys'] = (*pack.get('meta_keys', META_KEYS), 'flip', 'flip_direction')
    flips = [dict(type='mmdet.RandomFlip', prob=prob) for prob in (1.0, 0.0)]
    return [*load, dict(type='TestTimeAug', transforms=[flips, [pack]])]
