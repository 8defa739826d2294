"""Puts a dataset into a config, and fits everything that depends on the dataset."""

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from convnext_dense.config.data.datasets import set_datasets
from convnext_dense.config.data.map_datasets import set_map_datasets
from convnext_dense.config.data.num_classes import set_num_classes
from convnext_dense.datasets.formats.coco import describe_coco
from convnext_dense.datasets.formats.map_folders import describe_maps
from convnext_dense.errors import UsageError


def set_data(cfg: Config, place: str, work_dir: str) -> None:
    """Put a dataset into a config of this package's, mmdet's or mmseg's.

    The dataset determines the files and folders of the dataloaders, the class names, the number of classes of every
    head, and the evaluators. Pipelines, wrappers such as RepeatDataset, and the schedule stay.

    Args:
        cfg: The config, which is changed.
        place: For a detector a folder or an annotation file, as in `describe_coco`; for a segmenter a folder, as in
            `describe_maps`.
        work_dir: Where the files of a split that had to be made are written.

    Raises:
        UsageError: If there is no dataset, or a part of the config cannot be fitted to it, which is then unchanged.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco')
        >>> set_data(cfg, 'data/nuclei', 'work_dirs/nuclei')  # doctest: +SKIP
    """
    changed = Config(cfg.to_dict())
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        if cfg.default_scope == 'mmdet':
            data = describe_coco(place, work_dir)
            set_datasets(changed, data)
        elif cfg.default_scope == 'mmseg':
            data = describe_maps(place, work_dir)
            set_map_datasets(changed, data)
        else:
            raise UsageError(f'data: {cfg.model.type} is of {cfg.default_scope}; a detector or a segmenter takes data.')
        if encoder := changed.model.get('text_encoder'):
            encoder.dataset_name, encoder.vocabulary = None, list(data.classes)
        # A model that reads class names with each image has no number of them.
        if 'language_model' not in cfg.model:
            set_num_classes(changed.model, len(data.classes))
    for key, value in changed.items():
        cfg[key] = value
    for line in str(data).splitlines():
        print_log(line, logger='current')
