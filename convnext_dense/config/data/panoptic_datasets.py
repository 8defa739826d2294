"""Puts a dataset of things and stuff into the dataloaders and evaluators of a detector's config."""

from mmengine.config import Config, ConfigDict

from convnext_dense.config.data.datasets import KEPT, OTHER_DATASETS
from convnext_dense.config.data.replace import loaders_and_splits, make_palette, replace_dataset
from convnext_dense.config.tree import bare_type, evaluators
from convnext_dense.datasets.formats.description import PanopticDescription, PanopticSplit

PANOPTIC = 'Panoptic'


def set_panoptic_datasets(cfg: Config, data: PanopticDescription) -> None:
    """Make the dataloaders and evaluators read a dataset. Wrappers and pipelines stay.

    Args:
        cfg: The config of a panoptic detector, which is changed. Metrics of boxes and masks alone are left out: their
            annotation files are others.
        data: The dataset. Without a 'test' split, testing reads that of 'val'.

    Raises:
        UsageError: If a dataset of the config is of another kind.
    """
    metainfo = dict(
        classes=data.classes,
        thing_classes=data.things,
        stuff_classes=data.stuff,
        palette=make_palette(len(data.classes)),
    )
    others = [word for word in OTHER_DATASETS if word != PANOPTIC]
    for name, loader, split in loaders_and_splits(cfg, data.splits):
        dataset = dict(
            type='mmdet.CocoPanopticDataset',
            data_root='',
            ann_file=split.annotations,
            data_prefix=dict(img=f'{split.images}/', seg=f'{split.maps}/'),
            metainfo=metainfo,
        )
        loader.dataset = replace_dataset(f'{name}_dataloader.dataset', loader.dataset, dataset, others, KEPT)
        if name != 'train' and cfg.get(f'{name}_evaluator'):
            cfg[f'{name}_evaluator'] = _evaluator(cfg, name, split)


def _evaluator(cfg: Config, name: str, split: PanopticSplit) -> ConfigDict:
    own = next((e for e in evaluators(cfg, name) if bare_type(e.get('type')) == 'CocoPanopticMetric'), None)
    own = own or dict(type='mmdet.CocoPanopticMetric')
    kept = {key: value for key, value in own.items() if key not in ('format_only', 'outfile_prefix', 'backend_args')}
    return ConfigDict({**kept, 'ann_file': split.annotations, 'seg_prefix': split.maps})
