"""What a test takes of a config of unknown origin: a model, images, annotations and metrics, and no more."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from convnext_dense.config.find import URL_MARK
from convnext_dense.config.foreign import check_strings, without_weights
from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError
from convnext_dense.weights.matching import printable

# They read images, and annotations as JSON, lists or label maps. Others unpickle files, or fetch them.
DATASETS = (
    *('CocoDataset', 'CocoPanopticDataset', 'BaseSegDataset', 'ADE20KDataset', 'CityscapesDataset'),
    *('PascalVOCDataset', 'COCOStuffDataset', 'PascalContextDataset', 'PascalContextDataset59'),
)
# Others write or delete files.
METRICS = ('CocoMetric', 'FasterCocoMetric', 'CocoPanopticMetric', 'IoUMetric')
LOADER_KEYS = ('batch_size', 'num_workers', 'persistent_workers', 'drop_last', 'sampler')
DATASET_KEYS = (
    *('type', '_scope_', 'data_root', 'ann_file', 'data_prefix', 'metainfo', 'test_mode', 'filter_cfg', 'indices'),
    *('img_suffix', 'seg_map_suffix', 'reduce_zero_label', 'ignore_index', 'pipeline'),
)
METRIC_KEYS = (
    *('type', '_scope_', 'metric', 'ann_file', 'classwise', 'proposal_nums', 'iou_thrs', 'prefix', 'seg_prefix'),
    *('iou_metrics', 'ignore_index', 'nan_to_num', 'beta'),
)


def tested_parts(cfg: Config, source: str) -> dict[str, Any]:
    """Return what a test reads of a config that a checkpoint holds, without what could fetch, write or delete files.

    Args:
        cfg: The config.
        source: The checkpoint.

    Raises:
        UsageError: If its dataset or one of its metrics is of a kind that could, or names an address.

    Example:
        >>> dataset = dict(type='CocoDataset', ann_file='a.json', proposal_file='b.pkl')
        >>> parts = dict(model=dict(type='RetinaNet'), test_dataloader=dict(dataset=dataset))
        >>> tested_parts(Config(dict(parts, default_scope='mmdet')), 'model.pth')['test_dataloader']['dataset']
        {'type': 'CocoDataset', 'ann_file': 'a.json'}
    """
    config = without_weights(cfg.to_dict())
    loader, evaluator = config.get('test_dataloader') or {}, config.get('test_evaluator') or []
    dataset = _known(loader.get('dataset') or {}, DATASETS, DATASET_KEYS, 'test_dataloader.dataset', source)
    metrics = [evaluator] if isinstance(evaluator, dict) else evaluator
    found: dict[str, Any] = dict(
        default_scope=config['default_scope'],
        model=config['model'],
        test_dataloader=dict(_chosen(loader, LOADER_KEYS), dataset=dataset),
        test_evaluator=[_known(metric, METRICS, METRIC_KEYS, 'test_evaluator', source) for metric in metrics],
        test_cfg=dict(type='TestLoop'),
    )
    found |= _chosen(config, ('tta_model', 'tta_pipeline'))
    # The model and the test pipeline were looked at when the config was found.
    check_strings([found.get('tta_model'), found.get('tta_pipeline')], source, 'model')
    for key, part in found.items():
        if key != 'model':
            _check_places(part, key, source)
    return found


def _known(part: Any, types: tuple, keys: tuple, name: str, source: str) -> dict:  # noqa: ANN401 - a config's part
    kind = bare_type(part.get('type')) if isinstance(part, Mapping) else type(part).__name__
    if kind not in types:
        raise UsageError(
            f'model: the config in {source} has {name}.type {printable(kind)!r}; a checkpoint alone is tested with '
            f'{", ".join(types)}. Give its config, too.'
        )
    return _chosen(part, keys)


def _chosen(part: Mapping, keys: tuple) -> dict:
    return {key: value for key, value in part.items() if key in keys}


def _check_places(part: object, key: str, source: str) -> None:
    """Raise UsageError if a part names an address, or a decoder that runs code."""
    if isinstance(part, Mapping):
        part = list(part.values())
    if isinstance(part, list | tuple):
        for value in part:
            _check_places(value, key, source)
    elif isinstance(part, str) and (URL_MARK in part or 'pickle' in part):
        raise UsageError(
            f'model: the config in {source} has {printable(part)!r} in its {key}, which a checkpoint alone is not '
            'tested with; give its config, too.'
        )
