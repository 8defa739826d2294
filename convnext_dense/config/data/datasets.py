"""Puts a dataset of objects into the dataloaders and evaluators of a detector's config."""

from mmengine.config import Config, ConfigDict

from convnext_dense.config.data.replace import loaders_and_splits, make_palette, replace_dataset
from convnext_dense.config.tree import bare_type, evaluators, leaf_datasets
from convnext_dense.datasets.formats.description import DataDescription, Split
from convnext_dense.errors import UsageError

# What a dataset's config keeps when another dataset takes its place.
KEPT = ('pipeline', 'filter_cfg', 'test_mode', 'return_classes', 'serialize_data', 'lazy_init', 'max_refetch')
# Datasets that feed more than boxes, masks and classes, such as texts, tracks, or pairs of images.
OTHER_DATASETS = ('Caption', 'RefCoco', 'Youtube', 'MOT', 'ReID', 'VID', 'Panoptic', 'DSDL', 'ODVG', 'Flickr', 'DOD')
# Samplers that draw from several datasets, or by what the old dataset said of its images.
OTHER_SAMPLERS = (
    *('ClassAwareSampler', 'CustomSampleSizeSampler', 'GroupMultiSourceSampler', 'MultiDataSampler'),
    'MultiSourceSampler',
)
METRICS = ('CocoMetric', 'FasterCocoMetric')
# A table of more is none that one reads.
MOST_CLASSES = 30


def set_datasets(cfg: Config, data: DataDescription) -> None:
    """Make the dataloaders and evaluators read a dataset. Wrappers and pipelines stay.

    Args:
        cfg: A detector's config, which is changed.
        data: The dataset. Without a 'test' split, testing reads that of 'val'.

    Raises:
        UsageError: If a pipeline loads what the dataset has not.
    """
    metainfo = dict(classes=data.classes, palette=make_palette(len(data.classes)))
    for name, loader, split in loaders_and_splits(cfg, data.splits):
        dataset = dict(
            type='mmdet.CocoDataset',
            data_root='',
            ann_file=split.annotations,
            data_prefix=dict(img=f'{split.images}/'),
            metainfo=metainfo,
        )
        loader.dataset = replace_dataset(f'{name}_dataloader.dataset', loader.dataset, dataset, OTHER_DATASETS, KEPT)
        _check_pipeline(cfg, f'{name}_dataloader.dataset', loader.dataset, data)
        if bare_type((loader.get('sampler') or {}).get('type')) in OTHER_SAMPLERS:
            raise UsageError(
                f'data: {name}_dataloader.sampler ({loader.sampler.type}) needs more than one dataset or its own; take '
                'another config.'
            )
        if name != 'train' and cfg.get(f'{name}_evaluator'):
            cfg[f'{name}_evaluator'] = _evaluator(cfg, name, split)


def _check_pipeline(cfg: Config, key: str, dataset: ConfigDict, data: DataDescription) -> None:
    for transform in _transforms(dataset):
        kind = bare_type(transform.get('type'))
        if kind == 'LoadPanopticAnnotations' or (kind == 'LoadAnnotations' and transform.get('with_seg')):
            raise UsageError(f'data: {key} loads label maps besides objects, which {data.place} has not.')
        if kind == 'LoadAnnotations' and transform.get('with_mask') and not data.has_masks:
            count = f' ({data.without_mask})' if data.without_mask else ''
            raise UsageError(
                f'data: {cfg.model.type} learns masks, and {data.place} has objects without{count}; take a config '
                'without a mask head, such as mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py, or set boxes_to_masks.'
            )


def loads_masks(cfg: Config) -> bool:
    """Return whether a detector's training data is loaded with masks.

    Args:
        cfg: The config.

    Example:
        >>> pipeline = [dict(type='LoadAnnotations', with_bbox=True)]
        >>> loads_masks(Config(dict(train_dataloader=dict(dataset=dict(pipeline=pipeline)))))
        False
    """
    loaders = [cfg.get(f'{name}_dataloader') for name in ('train', 'val', 'test')]
    datasets = [loader.dataset for loader in loaders if loader]
    return any(transform.get('with_mask') for dataset in datasets for transform in _transforms(dataset))


def _transforms(dataset: ConfigDict) -> list[dict]:
    pipelines = [dataset.get('pipeline') or [], *(leaf.get('pipeline') or [] for leaf in leaf_datasets(dataset))]
    return [transform for pipeline in pipelines for transform in pipeline]


def _evaluator(cfg: Config, name: str, split: Split) -> ConfigDict:
    """Return the config's own evaluator of COCO's metrics, or else a new one, with the split's annotation file."""
    given = evaluators(cfg, name)
    own = next((evaluator for evaluator in given if bare_type(evaluator.get('type')) in METRICS), None)
    if own is None:
        has_masks = any('segm' in str(evaluator.get('metric')) for evaluator in given)
        own = dict(type='mmdet.CocoMetric', metric=['bbox', 'segm'] if has_masks else 'bbox')
    kept = {key: value for key, value in own.items() if key not in ('format_only', 'outfile_prefix', 'backend_args')}
    # Of few classes, each one's score is worth a line.
    classwise = {'classwise': True} if len(split.objects) <= MOST_CLASSES else {}
    return ConfigDict({**classwise, **kept, 'ann_file': split.annotations})
