"""Puts a dataset of label maps into the dataloaders and evaluators of a segmenter's config."""

from collections.abc import Iterator, Sequence

from mmengine.config import Config, ConfigDict

from convnext_dense.config.data.replace import loaders_and_splits, make_palette, replace_dataset
from convnext_dense.config.tree import bare_type, evaluators, typed_parts
from convnext_dense.datasets.formats.description import MapDescription
from convnext_dense.errors import UsageError

KEPT = ('pipeline', 'test_mode', 'serialize_data', 'lazy_init', 'max_refetch')
# Datasets that feed a depth, or two images.
OTHER_DATASETS = ('NYU', 'LEVIR', 'DSDL', 'Synapse', 'BDD', 'Depth')
IGNORED = 255
BLACK = (0, 0, 0)


def set_map_datasets(cfg: Config, data: MapDescription) -> None:
    """Make the dataloaders and evaluators read a dataset. Wrappers and pipelines stay.

    Args:
        cfg: A segmenter's config, which is changed.
        data: The dataset. Without a 'test' split, testing reads that of 'val'.

    Raises:
        UsageError: If the model learns other things than label maps.
    """
    for name, loader, split in loaders_and_splits(cfg, data.splits):
        dataset = dict(
            type='mmseg.BaseSegDataset',
            data_root='',
            data_prefix=dict(img_path=split.images, seg_map_path=split.maps),
            img_suffix=data.image_ending,
            seg_map_suffix=data.map_ending,
            reduce_zero_label=data.ignores_zero,
            metainfo=dict(classes=data.classes, palette=_palette(data.classes)),
        )
        if split.names:
            dataset['ann_file'] = split.names
        key = f'{name}_dataloader.dataset'
        loader.dataset = replace_dataset(key, loader.dataset, dataset, OTHER_DATASETS, KEPT)
        _set_ignored_zero(key, loader.dataset, data)
        if name != 'train' and cfg.get(f'{name}_evaluator'):
            cfg[f'{name}_evaluator'] = _evaluator(cfg, name)
    for transform in _loaders(cfg.get('tta_pipeline')):
        transform['reduce_zero_label'] = data.ignores_zero


def _palette(classes: Sequence[str]) -> list[list[int]]:
    """Return a color for each class; black for a background, which is most of many images."""
    others = iter(make_palette(len(classes)))
    return [list(BLACK if name.lower() == 'background' else next(others)) for name in classes]


def _set_ignored_zero(key: str, dataset: ConfigDict, data: MapDescription) -> None:
    found = list(_loaders(dataset))
    if not found:
        raise UsageError(f'data: the pipeline of {key} has no LoadAnnotations to read label maps; take another config.')
    for transform in found:
        transform['reduce_zero_label'] = data.ignores_zero


def _loaders(node: object) -> Iterator[dict]:
    return (part for part in typed_parts(node) if bare_type(part['type']) == 'LoadAnnotations')


def _evaluator(cfg: Config, name: str) -> ConfigDict:
    own = next((e for e in evaluators(cfg, name) if bare_type(e.get('type')) == 'IoUMetric'), None)
    return ConfigDict({**(own or dict(type='mmseg.IoUMetric', iou_metrics=['mIoU'])), 'ignore_index': IGNORED})
