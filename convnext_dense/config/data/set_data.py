"""Puts a dataset into a config, and fits everything that depends on the dataset."""

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from convnext_dense.config.data.datasets import set_datasets
from convnext_dense.config.data.num_classes import set_num_classes
from convnext_dense.datasets.formats.coco import describe_coco
from convnext_dense.errors import UsageError


def set_data(cfg: Config, place: str, work_dir: str) -> None:
    """Put a dataset into a detector's config of this package's or mmdet's.

    The dataset determines the annotation files and folders of the dataloaders, the class names, the number of classes
    of each head, and the evaluators. Pipelines, wrappers such as RepeatDataset, and the schedule stay.

    Args:
        cfg: The config, which is changed.
        place: A folder or an annotation file, as in `describe_coco`.
        work_dir: Where the files of a split that had to be made are written.

    Raises:
        UsageError: If there is no dataset, or a part of the config cannot be fitted to it, which is then unchanged.

    Example:
        >>> from convnext_dense.config import load_config
        >>> cfg = load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco')
        >>> set_data(cfg, 'data/nuclei', 'work_dirs/nuclei')  # doctest: +SKIP
    """
    if cfg.default_scope != 'mmdet':
        raise UsageError(
            f'data: {cfg.model.type} is no detector, and no other model gets its dataset by name; write its keys into a '
            'config.'
        )
    data = describe_coco(place, work_dir)
    changed = Config(cfg.to_dict())
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        set_datasets(changed, data)
        # A model that reads class names as texts has no number of them.
        if 'language_model' not in cfg.model:
            set_num_classes(changed.model, len(data.classes))
    for key, value in changed.items():
        cfg[key] = value
    for line in str(data).splitlines():
        print_log(line, logger='current')
