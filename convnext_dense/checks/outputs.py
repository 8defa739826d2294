"""Finds folders that results cannot be written to, and addresses of weights that nothing reads."""

import importlib.util
from collections.abc import Iterator

from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config.find import URL_MARK
from convnext_dense.config.machine import check_folder
from convnext_dense.errors import UsageError
from convnext_dense.weights.sources import REGISTERED

# Where hooks, evaluators and visualizers write to, if their keys are given.
FOLDERS = (
    'work_dir',
    'default_hooks.checkpoint.out_dir',
    'default_hooks.visualization.test_out_dir',
    'visualizer.save_dir',
    'val_evaluator.output_dir',
    'test_evaluator.output_dir',
)
# mmengine takes what begins with none of them for a file.
SCHEMES = (*REGISTERED, *(scheme for scheme in CheckpointLoader._schemes if scheme))
# Addresses that a package of their own reads.
PACKAGES = {'s3://': 'petrel_client', 'petrel://': 'petrel_client', 'pavi://': 'pavi'}


def find_outputs(plan: RunPlan) -> Iterator[Finding]:
    """Return the folders that cannot be written to, and the addresses of weights that cannot be read."""
    for key in FOLDERS:
        folder = _value(plan.cfg, key)
        if isinstance(folder, str):
            try:
                check_folder(folder, key)
            except UsageError as error:
                yield Finding(str(error))
    yield from address_findings(plan.cfg)


def address_findings(cfg: Config) -> Iterator[Finding]:
    """Return the addresses of weights whose beginning nothing reads.

    Args:
        cfg: As `load_config` returns it.

    Example:
        >>> [finding.sentence for finding in address_findings(Config(dict(load_from='ftp://a/b.pth')))]
        ['load_from: nothing reads addresses that begin with ftp://; got ftp://a/b.pth.']
    """
    for key, address in _addresses(cfg):
        scheme, mark, _ = address.partition(URL_MARK)
        if not mark:
            continue
        scheme += mark
        # The address may begin with the name of a cluster: `cluster:s3://...`.
        package = PACKAGES.get(scheme.rpartition(':')[0].rpartition(':')[2] + URL_MARK)
        if package and not importlib.util.find_spec(package):
            yield Finding(f'{key}: {address} needs the package {package}, which is not installed; give a file.')
        elif not package and not scheme.startswith(SCHEMES):
            yield Finding(f'{key}: nothing reads addresses that begin with {scheme}; got {address}.')


def _addresses(cfg: Config) -> Iterator[tuple[str, str]]:
    if isinstance(cfg.get('load_from'), str):
        yield 'load_from', cfg.load_from
    for key in ('model', 'tta_model'):
        yield from _checkpoints(cfg.get(key), key)


def _checkpoints(tree: object, key: str) -> Iterator[tuple[str, str]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else ()
    for name, value in items:
        if name in ('checkpoint', 'pretrained') and isinstance(value, str):
            yield f'{key}.{name}', value
        else:
            yield from _checkpoints(value, f'{key}.{name}')


def _value(cfg: Config, key: str) -> object:
    value: object = cfg
    for part in key.split('.'):
        value = value.get(part) if isinstance(value, Config | dict) else None
    return value


OUTPUTS = Check('outputs', 'folders that are written to, and addresses of weights', find_outputs)
