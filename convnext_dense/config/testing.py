"""Applies to a config what a test is asked for: test-time augmentation, and predictions without label maps."""

import os

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from convnext_dense.config.find import URL_MARK
from convnext_dense.config.tree import bare_type, evaluators, leaf_datasets
from convnext_dense.errors import UsageError

# What PackDetInputs keeps by default, as far as merging needs it.
META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
LOADS_LABEL_MAPS = 'LoadAnnotations'


def enable_tta(cfg: Config) -> None:
    """Test with augmentation: mmseg's scales and flips, or for a detector a flip of its own test pipeline.

    mmdet merges boxes and no masks, so a detector's masks are not evaluated.

    Args:
        cfg: The config, which is changed.

    Raises:
        UsageError: If a segmenter's config has no ``tta_model`` or ``tta_pipeline``, or finds labels before the logits
            have the image's size.
    """
    if (cfg.model.get('test_cfg') or {}).get('argmax_first'):
        raise UsageError("tta: it adds logits of the image's size; leave out model.test_cfg.argmax_first.")
    datasets = leaf_datasets(cfg.test_dataloader.dataset)
    is_detector = cfg.default_scope == 'mmdet'
    if is_detector:
        merge = dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
        cfg.setdefault('tta_model', ConfigDict(type='DetTTAModel', tta_cfg=merge))
        if cfg.tta_model.type == 'DetTTAModel':
            cfg.tta_model.type = 'convnext_dense.BoxTTAModel'
        for evaluator in evaluators(cfg, 'test'):
            if 'segm' in evaluator.get('metric', []):
                print_log("tta: mmdet's merges boxes only; masks are not evaluated.", logger='current')
                evaluator.metric = 'bbox'
    for key in ('tta_model', 'tta_pipeline'):
        if key not in cfg and not (is_detector and key == 'tta_pipeline'):
            raise UsageError(f'tta: the config has no {key!r}.')
    for dataset in datasets:
        if not dataset.get('pipeline'):
            raise UsageError(f'tta: a {dataset.get("type")} of test_dataloader.dataset has no pipeline to augment.')
        dataset.pipeline = cfg.get('tta_pipeline') or _flip_pipeline(dataset.pipeline)
    cfg.tta_model.module = cfg.model
    cfg.model = cfg.tta_model


def _flip_pipeline(test_pipeline: list[dict]) -> list[dict]:
    *load, pack = test_pipeline
    pack = dict(pack)
    pack['meta_keys'] = (*pack.get('meta_keys', META_KEYS), 'flip', 'flip_direction')
    flips = [dict(type='mmdet.RandomFlip', prob=prob) for prob in (1.0, 0.0)]
    return [*load, dict(type='TestTimeAug', transforms=[flips, [pack]])]


def missing_label_maps(cfg: Config) -> str | None:
    """Return where a segmenter's test images have no label maps; None if there are some, or if it is a detector.

    Args:
        cfg: As `load_config` returns it.

    Example:
        >>> dataset = dict(data_root='.', data_prefix=dict(img_path='images'))
        >>> missing_label_maps(Config(dict(default_scope='mmseg', test_dataloader=dict(dataset=dataset))))
        'test_dataloader.dataset.data_prefix has no seg_map_path'
    """
    if cfg.default_scope != 'mmseg':
        return None
    places = [_place_without_maps(dataset) for dataset in leaf_datasets(cfg.test_dataloader.dataset)]
    return places[0] if all(places) else None


def _place_without_maps(dataset: dict) -> str | None:
    prefixes = dataset.get('data_prefix')
    if prefixes is None or dataset.get('backend_args'):
        return None
    root = dataset.get('data_root') or ''
    if root and URL_MARK not in root and not os.path.isdir(root):
        # The check `files` says it.
        return None
    folder = prefixes.get('seg_map_path')
    if folder is None:
        return 'test_dataloader.dataset.data_prefix has no seg_map_path'
    folder = os.path.join(root, folder)
    if URL_MARK in folder or (os.path.isdir(folder) and any(os.scandir(folder))):
        return None
    return f'test_dataloader.dataset.data_prefix.seg_map_path: there are no label maps in {folder}'


def leave_out_label_maps(cfg: Config) -> None:
    """Predict on a segmenter's test images without their label maps, and score nothing.

    Args:
        cfg: The config, which is changed.

    Example:
        >>> dataset = dict(data_prefix=dict(img_path='a'), pipeline=[dict(type='LoadAnnotations'), dict(type='Pack')])
        >>> cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
        >>> leave_out_label_maps(cfg)
        >>> cfg.test_dataloader.dataset.pipeline, cfg.test_evaluator
        ([{'type': 'Pack'}], [])
    """
    for dataset in leaf_datasets(cfg.test_dataloader.dataset):
        dataset.data_prefix.pop('seg_map_path', None)
        dataset.pipeline = _without_label_maps(dataset.get('pipeline') or [])
    if 'tta_pipeline' in cfg:
        cfg.tta_pipeline = _without_label_maps(cfg.tta_pipeline)
    cfg.test_evaluator = []


def _without_label_maps(transforms: list) -> list:
    """Return a pipeline, or the alternatives of TestTimeAug, without what loads label maps."""
    kept = []
    for transform in transforms:
        if isinstance(transform, list):
            alternatives = _without_label_maps(transform)
            kept += [alternatives] if alternatives else []
        elif bare_type(transform.get('type')) != LOADS_LABEL_MAPS:
            if 'transforms' in transform:
                transform = ConfigDict(transform, transforms=_without_label_maps(transform['transforms']))
            kept.append(transform)
    return kept
