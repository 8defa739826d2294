"""Puts a loader into a config that decodes each training image once."""

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import TRANSFORMS

from convnext_dense.config.custom_imports import import_package
from convnext_dense.config.speed.fast_transforms import is_exactly, name_ours
from convnext_dense.config.tree import typed_parts
from convnext_dense.datasets.images.kept_images import check_place
from convnext_dense.errors import UsageError

WORDS = dict(ram='memory', disk='a file')


def keep_images(cfg: Config, place: str) -> None:
    """Keep the training images of a config decoded, from the first time that they are read until the run ends.

    Args:
        cfg: The config, which is changed: it has the same effect in mmdet's and mmseg's tools.
        place: 'ram' or 'disk'.

    Raises:
        UsageError: If this system has no such place, or the config loads no images that can be kept.

    Example:
        >>> cfg = Config(dict(train_dataloader=dict(dataset=dict(pipeline=[dict(type='mmcv.LoadImageFromFile')]))))
        >>> keep_images(cfg, 'disk')
        >>> cfg.train_dataloader.dataset.pipeline
        [{'type': 'convnext_dense.LoadImageOnce', 'place': 'disk'}]
    """
    check_place(place)
    if cfg.get('env_cfg', {}).get('mp_cfg', {}).get('mp_start_method', 'fork') != 'fork':
        raise UsageError('cache: workers share images where env_cfg.mp_cfg.mp_start_method is fork.')
    scope = cfg.get('default_scope')
    loaders = [
        part
        for part in typed_parts(cfg.get('train_dataloader'))
        if is_exactly(part, 'mmcv.LoadImageFromFile', TRANSFORMS, scope)
    ]
    if not loaders:
        raise UsageError("cache: train_dataloader has no LoadImageFromFile of mmcv's, whose images could be kept.")
    import_package(cfg)
    for loader in loaders:
        name_ours(loader, 'LoadImageOnce')
        loader['place'] = place
    print_log(f'cache: images are decoded once, and kept in {WORDS[place]} until the run ends.', logger='current')
