"""Puts a dataset into a config, and fits everything that depends on the dataset."""

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from convnext_dense.config.data.datasets import loads_masks, set_datasets
from convnext_dense.config.data.map_datasets import set_map_datasets
from convnext_dense.config.data.num_classes import set_num_classes
from convnext_dense.config.data.panoptic_datasets import PANOPTIC, set_panoptic_datasets
from convnext_dense.config.tree import bare_type, leaf_datasets
from convnext_dense.datasets.formats.describe import describe_data
from convnext_dense.datasets.formats.description import DataDescription, PanopticDescription
from convnext_dense.errors import UsageError


def set_data(cfg: Config, place: str, work_dir: str, boxes_to_masks: bool = False) -> None:
    """Put a dataset into a config of this package's, mmdet's or mmseg's.

    The dataset determines the files and folders of the dataloaders, the class names, the number of classes of every
    head, and the evaluators. Pipelines, wrappers such as RepeatDataset, and the schedule stay.

    Args:
        cfg: The config, which is changed.
        place: A folder or a file, as in `describe_data`.
        work_dir: Where the files of a split that had to be made are written. Those of other formats are converted next
            to it.
        boxes_to_masks: Whether objects without a mask get their box as one.

    Raises:
        UsageError: If there is no dataset, or a part of the config cannot be fitted to it, which is then unchanged.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco')
        >>> set_data(cfg, 'data/nuclei', 'work_dirs/nuclei')  # doctest: +SKIP
    """
    changed = Config(cfg.to_dict())
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        data = describe_data(place, find_task(cfg), work_dir, boxes_to_masks)
        things = None
        if isinstance(data, PanopticDescription):
            set_panoptic_datasets(changed, data)
            things = len(data.things)
        elif isinstance(data, DataDescription):
            set_datasets(changed, data)
        else:
            set_map_datasets(changed, data)
        if encoder := changed.model.get('text_encoder'):
            encoder.dataset_name, encoder.vocabulary = None, list(data.classes)
        # A model that reads class names with each image has no number of them.
        if 'language_model' not in cfg.model:
            set_num_classes(changed.model, len(data.classes), things)
    for key, value in changed.items():
        cfg[key] = value
    for line in str(data).splitlines():
        print_log(line, logger='current')


def find_task(cfg: Config) -> str:
    """Return what a config's model learns: 'boxes', 'instances', 'semantic' or 'panoptic'.

    Raises:
        UsageError: If it is neither a detector nor a segmenter.

    Example:
        >>> find_task(Config(dict(default_scope='mmseg', model=dict(type='EncoderDecoder'))))
        'semantic'
    """
    if cfg.default_scope == 'mmseg':
        return 'semantic'
    if cfg.default_scope != 'mmdet':
        raise UsageError(f'data: {cfg.model.type} is of {cfg.default_scope}; a detector or a segmenter takes data.')
    loaders = [cfg.get(f'{name}_dataloader') for name in ('train', 'val', 'test')]
    leaves = [leaf for loader in loaders if loader for leaf in leaf_datasets(loader.dataset)]
    if any(PANOPTIC in bare_type(leaf.get('type')) for leaf in leaves):
        return 'panoptic'
    return 'instances' if loads_masks(cfg) else 'boxes'
