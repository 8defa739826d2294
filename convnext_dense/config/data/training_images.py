"""Finds the images that a config trains with."""

import os

import msgspec
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from convnext_dense.config.tree import leaf_datasets
from convnext_dense.datasets.checked_loading import is_a


class _Image(msgspec.Struct):
    file_name: str


class _Images(msgspec.Struct):
    images: list[_Image]


def training_images(cfg: Config) -> list[str]:
    """Return the files of the images that a config trains with, as far as its datasets tell.

    What is wrong with a dataset is said where it is checked, and not here.

    Args:
        cfg: The config.

    Example:
        >>> training_images(Config(dict(default_scope='mmdet')))
        []
    """
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    found = []
    for leaf in leaf_datasets(dataset) if isinstance(dataset, dict) else []:
        # A file backend may read from elsewhere.
        if not leaf.get('backend_args'):
            found += _images(leaf, cfg.default_scope)
    return found


def _images(leaf: dict, scope: str) -> list[str]:
    with DefaultScope.overwrite_default_scope(scope):
        try:
            built = DATASETS.build({**leaf, 'pipeline': [], 'lazy_init': True})
            if is_a(type(built), 'mmdet.CocoDataset'):
                # mmdet reads all annotations first, which takes a minute of a large file.
                with open(built.ann_file, 'rb') as stream:
                    names = [image.file_name for image in msgspec.json.decode(stream.read(), type=_Images).images]
                return [os.path.join(built.data_prefix.get('img', ''), name) for name in names]
            return [info['img_path'] for info in built.load_data_list()]
        except Exception:  # noqa: BLE001 - whatever a dataset raises
            return []
