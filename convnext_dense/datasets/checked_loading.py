"""Puts checks where each sample is loaded."""

from collections.abc import Collection

from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, TRANSFORMS
from mmengine.runner import Runner

from convnext_dense.datasets.annotations.loaded_masks import mask_fault
from convnext_dense.datasets.images.checked_image import CheckedImage
from convnext_dense.datasets.label_maps.label_rules import LARGEST
from convnext_dense.datasets.own_folders import StayInFolders, own_folders
from convnext_dense.datasets.unreadable import ReplaceUnreadable
from convnext_dense.errors import SampleError, UsageError, describe

SPLITS = ('train', 'val', 'test')


class CheckedAnnotations(BaseTransform):
    """Runs a transform that loads annotations, and names the image if they cannot be read.

    Args:
        loader: The transform's config.

    Raises:
        SampleError: If the annotations cannot be read.
    """

    def __init__(self, loader: dict) -> None:
        self.loader = TRANSFORMS.build(loader)

    def transform(self, results: dict) -> dict | None:
        """Load the annotations; the result is the loader's."""
        file = results.get('img_path')
        if fault := mask_fault(results):
            raise SampleError(f'{file}: {fault}.')
        try:
            return self.loader(results)
        except (UsageError, MemoryError):
            raise
        except Exception as error:
            raise SampleError(f'{file}: its annotations cannot be read: {describe(error)}.') from error


def check_while_loading(runner: Runner, skip_check: Collection[str] = (), replaces: bool = False) -> None:
    """Make a runner's pipelines raise UsageError if an image, its annotations or its label map cannot be right.

    The runner's config, which checkpoints keep, stays as it is.

    Args:
        runner: The runner, whose dataloaders are not built yet.
        skip_check: 'images' turns off the comparison of an image's size with its annotations', 'labels' the checks of
            label maps, 'files' that of files which lead out of the dataset's folders.
        replaces: Whether a training sample that cannot be right is replaced, and noted with its batch.

    Example:
        >>> runner = Runner.from_cfg(Config(dict(model=torch.nn.Module(), work_dir='.')))  # doctest: +SKIP
        >>> check_while_loading(runner)  # doctest: +SKIP
    """
    for split in SPLITS:
        dataloader = getattr(runner, f'_{split}_dataloader')
        if isinstance(dataloader, dict):
            check_dataset_while_loading(dataloader.get('dataset'), runner.cfg, split, skip_check, replaces)
    for hook in runner.hooks:
        # mmdet's PipelineSwitchHook.
        check_dataset_while_loading(getattr(hook, 'switch_pipeline', None), runner.cfg, 'train', skip_check, replaces)


def check_dataset_while_loading(
    dataset: dict | list | None, cfg: Config, split: str, skip_check: Collection[str] = (), replaces: bool = False
) -> None:
    """Put the checks of `check_while_loading` into one dataset's pipelines.

    Args:
        dataset: The dataset's config, or a pipeline, which is changed. Types are looked up in the current scope.
        cfg: The whole config.
        split: 'train', 'val' or 'test'.
        skip_check, replaces: As in `check_while_loading`.

    Example:
        >>> dataset = dict(pipeline=[dict(type='LoadImageFromFile')])
        >>> check_dataset_while_loading(dataset, Config(), 'train')
        >>> dataset['pipeline'][0]['type'].__name__
        'CheckedImage'
    """
    _replace(dataset, _Checks(cfg, split, skip_check), replaces and split == 'train')


class _Checks:
    """Makes a checked transform's config of a transform's.

    Args:
        cfg: The config that they are for.
        split: 'train', 'val' or 'test'.
        skip_check: Names of checks to leave out.
    """

    def __init__(self, cfg: Config, split: str, skip_check: Collection[str]) -> None:
        self.skip_check = skip_check
        self.num_classes = decode_head(cfg).get('num_classes')
        self.ignore_index = ignore_index(cfg, split)

    def of(self, transform: dict) -> dict | None:
        """Return the checked transform's config, or None if it loads nothing that is checked."""
        kind = transform_class(transform)
        name = kind.__name__ if kind else ''
        if name.startswith('LoadImage'):
            return dict(type=CheckedImage, loader=transform, check_size='images' not in self.skip_check)
        if is_a(kind, 'mmseg.LoadAnnotations', strictly=True) and 'labels' not in self.skip_check:
            # Imported here so that a detector needs no mmseg.
            from convnext_dense.datasets.label_maps.checked_label_map import CheckedLabelMap

            arguments = {key: value for key, value in transform.items() if key not in ('type', '_scope_')}
            rules = dict(num_classes=self.num_classes, ignore_index=self.ignore_index)
            return dict(type=CheckedLabelMap, **rules, **arguments)
        if name.startswith('Load') and 'Annotation' in name:
            return dict(type=CheckedAnnotations, loader=transform)
        return None


def decode_head(cfg: Config) -> dict:
    """Return the config of a segmenter's last head; {} if it has none.

    Example:
        >>> decode_head(Config(dict(model=dict(decode_head=[dict(num_classes=2), dict(num_classes=3)]))))
        {'num_classes': 3}
    """
    model = cfg.get('model') or {}
    # Test-time augmentation wraps the model.
    head = model.get('decode_head') or model.get('module', {}).get('decode_head') or {}
    return head[-1] if isinstance(head, list) else head


def ignore_index(cfg: Config, split: str) -> int:
    """Return the class that a segmenter ignores: in training its head does, and otherwise its first metric.

    Args:
        cfg: The config.
        split: 'train', 'val' or 'test'.

    Example:
        >>> ignore_index(Config(dict(val_evaluator=[dict(type='IoUMetric', ignore_index=254)])), 'val')
        254
    """
    holder = decode_head(cfg) if split == 'train' else cfg.get(f'{split}_evaluator') or {}
    return (holder[0] if isinstance(holder, list) else holder).get('ignore_index', LARGEST)


def transform_class(transform: dict) -> type | None:
    """Return the class that a transform's config names; None if there is none of this name.

    Args:
        transform: The config. Its `type` is looked up in the scope of the runner.

    Example:
        >>> transform_class(dict(type='LoadImageFromFile')).__name__
        'LoadImageFromFile'
    """
    kind = transform.get('type')
    if not isinstance(kind, str):
        return kind
    with TRANSFORMS.switch_scope_and_registry(transform.get('_scope_')) as registry:
        return registry.get(kind)


def is_a(kind: type | None, name: str, strictly: bool = False) -> bool:
    """Return whether a class is one of another package, which need not be imported, or is derived from it.

    Args:
        kind: The class; None is nothing.
        name: The package, a dot, and the class, such as ``mmseg.LoadAnnotations``.
        strictly: Whether derived classes do not count.

    Example:
        >>> is_a(transform_class(dict(type='LoadImageFromFile')), 'mmcv.BaseTransform')
        True
    """
    bases = getattr(kind, '__mro__', ())
    return any(
        f'{base.__module__.partition(".")[0]}.{base.__name__}' == name for base in bases[: 1 if strictly else None]
    )


def _replace(node: object, checks: _Checks, replaces: bool) -> None:
    """Replace the transforms in a tree of dicts and lists, in place."""
    if isinstance(node, dict):
        for key, value in node.items():
            _replace(value, checks, replaces and (key != 'pipeline' or _takes_another(node)))
        if 'files' not in checks.skip_check and isinstance(node.get('pipeline'), list) and 'dataset' not in node:
            folders = own_folders(node.get('data_root'), node.get('data_prefix'))
            node['pipeline'][:0] = [dict(type=StayInFolders, folders=folders)] if folders else []
    elif isinstance(node, list):
        for i, value in enumerate(node):
            checked = checks.of(value) if isinstance(value, dict) and 'type' in value else None
            if checked:
                node[i] = dict(type=ReplaceUnreadable, loader=checked) if replaces else checked
            elif isinstance(value, (dict, list)):
                _replace(value, checks, replaces)


def _takes_another(node: dict) -> bool:
    """Return whether a dataset takes another sample where its pipeline returns None."""
    kind = node.get('type')
    if isinstance(kind, str):
        with DATASETS.switch_scope_and_registry(node.get('_scope_')) as registry:
            kind = registry.get(kind)
    return not node.get('test_mode') and getattr(kind, '__getitem__', None) is BaseDataset.__getitem__
