"""What a comparison held fixed, and what differs between its runs, read from their configs."""

from collections.abc import Callable, Iterator

from mmengine.config import Config

from convnext_dense.apis.environment import package_versions
from convnext_dense.comparison.runs import Comparison, Run
from convnext_dense.config.tree import innermost_dataset
from convnext_dense.version import __version__

PACKAGES = ('torch', 'torchvision', 'timm', 'mmengine', 'mmdet', 'mmsegmentation')


def recipe_facts(comparison: Comparison) -> dict[str, str]:
    """Return the facts of the recipe by name.

    Args:
        comparison: The comparison.

    Example:
        >>> recipe_facts(comparison)['Batch size per process']  # doctest: +SKIP
        '2'
    """
    cfg = comparison.runs[0].cfg
    loader, wrapper = cfg.train_dataloader, cfg.optim_wrapper
    optimizer = ', '.join(f'{key}={value}' for key, value in wrapper.optimizer.items())
    costs = [run.cost for run in comparison.runs if run.cost]
    length = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.get('max_iters')
    unit = 'epochs' if 'max_epochs' in cfg.train_cfg else 'iterations'
    devices = dict.fromkeys(f'{cost["processes"]} x {cost["device"]}' for cost in costs)
    schedulers = cfg.get('param_scheduler') or []
    schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
    different = ', '.join(_different_keys(comparison.runs))
    versions = {'convnext_dense': __version__, **package_versions(*PACKAGES)}
    return {
        'Config': comparison.config,
        'Schedule': '; '.join([f'{length} {unit}', *map(_scheduler, schedulers)]),
        'Batch size per process': str(loader.get('batch_size', 1)),
        'Optimizer': f'{wrapper.get("type", "OptimWrapper")}: {optimizer}',
        'Learning-rate decay': _by_backbone(comparison.runs, _decay),
        'Data': _dataset(cfg),
        'Weights at the start': _by_backbone(comparison.runs, _weights),
        'Seeds': ', '.join(map(str, dict.fromkeys(run.seed for run in comparison.runs))),
        'Device': ', '.join(devices) or '-',
        'Versions': ', '.join(f'{name} {version}' for name, version in versions.items()),
        'All else in the configs': f'identical, except {different}' if different else 'identical',
    }


def _scheduler(cfg: dict) -> str:
    return f'{cfg["type"]}({", ".join(f"{key}={value}" for key, value in cfg.items() if key != "type")})'


def _dataset(cfg: Config) -> str:
    dataset = innermost_dataset(cfg.train_dataloader.dataset)
    folders = (dataset.get('data_prefix') or {}).values()
    place = dataset.get('data_root') or dataset.get('ann_file') or next(iter(folders), '')
    return f'{dataset.get("type")} in {place}'


def _by_backbone(runs: list[Run], describe: Callable[[Config], str]) -> str:
    """Describe each backbone's config, in one text if all have the same."""
    texts = {run.backbone: describe(run.cfg) for run in runs}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return '; '.join(f'{backbone}: {text}' for backbone, text in texts.items())


def _weights(cfg: Config) -> str:
    return (cfg.model.backbone.get('init_cfg') or {}).get('checkpoint', 'none, from scratch')


def _decay(cfg: Config) -> str:
    paramwise = cfg.optim_wrapper.get('paramwise_cfg') or {}
    if 'decay_rate' not in paramwise:
        return 'none'
    return f'{paramwise.decay_rate} {paramwise.get("decay_type", "layer_wise")}, to the same rate for the stem'


def _different_keys(runs: list[Run]) -> list[str]:
    """Return the keys of the runs' configs that differ, shortened to what tells them apart."""
    configs = [dict(_leaves(run.cfg.to_dict())) for run in runs]
    names = sorted({name for leaves in configs for name in leaves})
    different = [name for name in names if any(leaves.get(name) != configs[0].get(name) for leaves in configs)]
    shown = dict.fromkeys('.'.join(name.split('.')[:3]).split('[')[0] for name in different)
    # The backbone is what is compared; one name stands for all its settings.
    kept = dict.fromkeys('model.backbone' if name.startswith('model.backbone') else name for name in shown)
    return [name for name in kept if name not in ('work_dir', 'randomness.seed')]


def _leaves(value: object, key: str = '') -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _leaves(child, f'{key}.{name}' if key else str(name))
    elif isinstance(value, list | tuple):
        for i, child in enumerate(value):
            yield from _leaves(child, f'{key}[{i}]')
    else:
        yield key, value
