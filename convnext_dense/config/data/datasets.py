"""Puts a dataset of objects into the dataloaders and evaluators of a detector's config."""

import colorsys

from mmengine.config import Config, ConfigDict

from convnext_dense.config.data_places import evaluators
from convnext_dense.config.tree import bare_type, leaf_datasets
from convnext_dense.datasets.formats.description import DataDescription, Split
from convnext_dense.errors import UsageError

# What a dataset's config keeps when another dataset takes its place.
KEPT = ('pipeline', 'filter_cfg', 'test_mode', 'return_classes', 'serialize_data', 'lazy_init', 'max_refetch')
# Datasets that feed more than boxes, masks and classes, such as texts, tracks, or pairs of images.
OTHER_DATASETS = ('Caption', 'RefCoco', 'Youtube', 'MOT', 'ReID', 'VID', 'Panoptic', 'DSDL', 'ODVG', 'Flickr', 'DOD')
METRICS = ('CocoMetric', 'FasterCocoMetric')


def set_datasets(cfg: Config, data: DataDescription) -> None:
    """Make the dataloaders and evaluators read a dataset. Wrappers and pipelines stay.

    Args:
        cfg: A detector's config, which is changed.
        data: The dataset. Without a 'test' split, testing reads that of 'val'.

    Raises:
        UsageError: If a pipeline loads what the dataset has not.
    """
    metainfo = dict(classes=data.classes, palette=_palette(len(data.classes)))
    for name in ('train', 'val', 'test'):
        loader = cfg.get(f'{name}_dataloader')
        if not loader:
            continue
        split = data.splits.get(name) or data.splits['val']
        loader.dataset = _replace(f'{name}_dataloader.dataset', loader.dataset, split, metainfo)
        _check_pipeline(cfg, f'{name}_dataloader.dataset', loader.dataset, data)
        # Groups images by what the old dataset said of them.
        if bare_type((loader.get('sampler') or {}).get('type')) in ('ClassAwareSampler', 'GroupMultiSourceSampler'):
            raise UsageError(
                f'data: {name}_dataloader.sampler ({loader.sampler.type}) needs more than one dataset or its own; take '
                'another config.'
            )
        if name != 'train' and cfg.get(f'{name}_evaluator'):
            cfg[f'{name}_evaluator'] = _evaluator(cfg, name, split)


def _replace(key: str, dataset: ConfigDict, split: Split, metainfo: dict) -> ConfigDict:
    if 'dataset' in dataset:
        dataset.dataset = _replace(f'{key}.dataset', dataset.dataset, split, metainfo)
        return dataset
    if 'datasets' in dataset:
        # All of them together were what is one dataset now.
        dataset.datasets = [_replace(f'{key}.datasets.0', dataset.datasets[0], split, metainfo)]
        return dataset
    kind = bare_type(dataset.type)
    if any(name in kind for name in OTHER_DATASETS):
        raise UsageError(
            f'data: {key} is {kind}, which feeds the model more than boxes, masks and classes; take another config.'
        )
    kept = {name: dataset[name] for name in KEPT if name in dataset}
    return ConfigDict(
        type='mmdet.CocoDataset',
        data_root='',
        ann_file=split.annotations,
        data_prefix=dict(img=f'{split.images}/'),
        metainfo=metainfo,
        **kept,
    )


def _check_pipeline(cfg: Config, key: str, dataset: ConfigDict, data: DataDescription) -> None:
    pipelines = [dataset.get('pipeline') or [], *(leaf.get('pipeline') or [] for leaf in leaf_datasets(dataset))]
    for transform in (transform for pipeline in pipelines for transform in pipeline):
        kind = bare_type(transform.get('type'))
        if kind == 'LoadPanopticAnnotations' or (kind == 'LoadAnnotations' and transform.get('with_seg')):
            raise UsageError(f'data: {key} loads label maps besides objects, which {data.place} has not.')
        if kind == 'LoadAnnotations' and transform.get('with_mask') and not data.has_masks:
            raise UsageError(
                f'data: {cfg.model.type} learns masks, and {data.place} has boxes alone; take a config without a mask '
                'head, such as mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py.'
            )


def _evaluator(cfg: Config, name: str, split: Split) -> ConfigDict:
    """Return the config's own evaluator of COCO's metrics, or else a new one, with the split's annotation file."""
    given = evaluators(cfg, name)
    own = next((evaluator for evaluator in given if bare_type(evaluator.get('type')) in METRICS), None)
    if own is None:
        has_masks = any('segm' in str(evaluator.get('metric')) for evaluator in given)
        own = dict(type='mmdet.CocoMetric', metric=['bbox', 'segm'] if has_masks else 'bbox')
    kept = {key: value for key, value in own.items() if key not in ('format_only', 'outfile_prefix', 'backend_args')}
    return ConfigDict({**kept, 'ann_file': split.annotations})


def _palette(count: int) -> list[tuple[int, ...]]:
    """Return colors whose hues are far apart."""
    golden_ratio = (5**0.5 - 1) / 2
    colors = [colorsys.hsv_to_rgb(i * golden_ratio % 1, 0.75, 0.9) for i in range(count)]
    return [tuple(round(255 * part) for part in color) for color in colors]
