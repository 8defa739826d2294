"""Finds addresses of weights that nothing here can read."""

import difflib
import importlib.util
from collections.abc import Iterator

from mmengine.config import Config
from mmengine.runner.checkpoint import (
    CheckpointLoader,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config.find import URL_MARK
from convnext_dense.weights.storage.sources import REGISTERED

# mmengine takes what begins with none of them for a file.
SCHEMES = (*REGISTERED, *(scheme for scheme in CheckpointLoader._schemes if scheme))
# Addresses that a package of their own reads.
PACKAGES = {'s3://': 'petrel_client', 'petrel://': 'petrel_client', 'pavi://': 'pavi'}
# Addresses that are names of mmengine's lists.
NAMED = {
    'open-mmlab://': get_external_models,
    'openmmlab://': get_external_models,
    'mmcls://': get_mmcls_models,
    'modelzoo://': get_torchvision_models,
}


def address_problem(address: str) -> str | None:
    """Return why the weights at an address cannot be read, as far as the address alone tells.

    Args:
        address: A file, an address, or a published name.

    Example:
        >>> address_problem('ftp://a/b.pth')
        'nothing reads addresses that begin with ftp://; got ftp://a/b.pth.'
    """
    scheme, mark, name = address.partition(URL_MARK)
    if not mark:
        return None
    # The address may begin with the name of a cluster: `cluster:s3://...`.
    scheme = scheme.rpartition(':')[2] + mark
    package = PACKAGES.get(scheme)
    if package:
        if importlib.util.find_spec(package):
            return None
        return f'{address} needs the package {package}, which is not installed; give a file.'
    if not scheme.startswith(SCHEMES):
        return f'nothing reads addresses that begin with {scheme}; got {address}.'
    if scheme in NAMED and name not in (names := NAMED[scheme]()):
        found = difflib.get_close_matches(name, names, n=3)
        hint = f'; the nearest are {", ".join(found)}' if found else ''
        return f'{address}: there are no weights of that name{hint}.'
    return None


def find_addresses(plan: RunPlan) -> Iterator[Finding]:
    """Return the addresses of weights in a config, and the checkpoint's, that cannot be read."""
    addresses = dict(_addresses(plan.cfg))
    if plan.checkpoint and plan.checkpoint not in addresses.values():
        addresses['checkpoint'] = plan.checkpoint
    for key, address in addresses.items():
        if problem := address_problem(address):
            yield Finding(f'{key}: {problem}')


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


ADDRESSES = Check('addresses', 'where weights come from', find_addresses)
