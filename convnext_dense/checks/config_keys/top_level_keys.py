"""Tells a config's variables from misspelt keys."""

import difflib
from collections.abc import Iterator

from mmengine.config import Config
from mmengine.runner import Runner

from convnext_dense.checks.check import Finding
from convnext_dense.checks.config_keys.signatures import signature
from convnext_dense.config.tree import value_at

# What mmengine's runner reads, or mmdet's and mmseg's tools, or this package.
KNOWN = frozenset(signature(Runner).parameters) | {
    *('model_wrapper_cfg', 'sync_bn', 'find_unused_parameters', 'activation_checkpointing', 'efficient_conv_bn_eval'),
    *('compile', 'strategy', 'runner_type', 'num_processes', 'custom_imports', 'vis_backends'),
    *('tta_model', 'tta_pipeline', 'resume_with'),
}
# Variables that configs have by convention, and that are almost known keys.
VARIABLES = frozenset({'train_pipeline', 'val_pipeline', 'test_pipeline'})
# What was read before mmengine, and what is now.
FORMER = {
    'data': 'train_dataloader',
    'data.samples_per_gpu': 'train_dataloader.batch_size',
    'data.workers_per_gpu': 'train_dataloader.num_workers',
    'data.train': 'train_dataloader.dataset',
    'data.val': 'val_dataloader.dataset',
    'data.test': 'test_dataloader.dataset',
    'optimizer': 'optim_wrapper.optimizer',
    'optimizer_config': 'optim_wrapper.clip_grad',
    'optimizer_config.grad_clip': 'optim_wrapper.clip_grad',
    'lr_config': 'param_scheduler',
    'runner': 'train_cfg',
    'runner.max_epochs': 'train_cfg.max_epochs',
    'runner.max_iters': 'train_cfg.max_iters',
    'total_epochs': 'train_cfg.max_epochs',
    'evaluation': 'val_evaluator',
    'evaluation.interval': 'train_cfg.val_interval',
    'checkpoint_config': 'default_hooks.checkpoint',
    'checkpoint_config.interval': 'default_hooks.checkpoint.interval',
    'log_config': 'default_hooks.logger',
    'log_config.interval': 'default_hooks.logger.interval',
    'resume_from': 'load_from',
    'seed': 'randomness.seed',
    'dist_params': 'env_cfg.dist_cfg',
    'cudnn_benchmark': 'env_cfg.cudnn_benchmark',
    'workflow': 'val_cfg',
    'batch_size': 'train_dataloader.batch_size',
    'lr': 'optim_wrapper.optimizer.lr',
}
# How like a known key another must be to pass for its misspelling. Configs have many variables of their own.
ALIKE = 0.85


def top_level_findings(cfg: Config) -> Iterator[Finding]:
    """Warn of top-level keys that nothing reads, and of `cfg_options` without an effect.

    A config's own variables are fine: what it was worked out with stays in it. A key is misspelt if it is almost a
    known one, and no other key has its value.

    Args:
        cfg: As `load_config` returns it.

    Example:
        >>> [finding.sentence for finding in top_level_findings(Config(dict(optim_wraper=dict(), channels=64)))]
        ["optim_wraper: nothing reads it; the nearest is 'optim_wrapper'."]
    """
    given = vars(cfg).get('given_options', ())
    tops = {key.partition('.')[0] for key in given}
    for key in cfg:
        if key not in KNOWN and key not in tops and (name := _misspelt(key)) and not _is_used(cfg, key):
            yield Finding(f'{key}: nothing reads it; the nearest is {name!r}.', is_error=False)
    for key in given:
        yield from _option(cfg, key)


def _misspelt(key: str) -> str | None:
    names = difflib.get_close_matches(key, KNOWN, n=1, cutoff=ALIKE) if key not in VARIABLES else []
    return names[0] if names else None


def _option(cfg: Config, key: str) -> Iterator[Finding]:
    """Warn of a key of `cfg_options` that nothing reads: nothing is worked out from it any more."""
    *path, last = key.split('.')
    top = key.partition('.')[0]
    if top not in KNOWN:
        name = FORMER.get(key) or FORMER.get(top) or _misspelt(top)
        hint = f'; the nearest is {name!r}' if name else '; change the keys that its value went into'
        yield Finding(f'cfg_options {key}: nothing reads it{hint}.', is_error=False)
        return
    holder = value_at(cfg, '.'.join(path))
    # Parts of a model without a type are read by name, here and there. What is there already is right.
    if top == 'model' and len(path) > 1 and isinstance(holder, dict) and 'type' not in holder:
        others = [name for name in holder if name != last]
        if names := difflib.get_close_matches(last, others, n=1, cutoff=ALIKE):
            yield Finding(f'cfg_options {key}: the config has {names[0]!r} there already.', is_error=False)


def _is_used(cfg: Config, key: str) -> bool:
    """Return whether another key has the same value, so that this one is a variable."""
    value = cfg[key]
    return isinstance(value, dict | list | tuple) and any(
        _holds(other, value) for name, other in cfg.items() if name != key
    )


def _holds(tree: object, value: object) -> bool:
    """Return whether a value is somewhere in a tree; a dict may have got more keys from a base."""
    if tree == value or (
        value
        and isinstance(value, dict)
        and isinstance(tree, dict)
        and all(name in tree and tree[name] == item for name, item in value.items())
    ):
        return True
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ()
    return any(_holds(item, value) for item in items)
