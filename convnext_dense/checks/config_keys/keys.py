"""Finds keys that nothing reads, types that nothing registers, and values of the wrong kind."""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from convnext_dense import registry
from convnext_dense.build_errors import registered_names
from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.config_keys.signatures import TAKEN_BEFORE, Signature, signature, wrong_kind
from convnext_dense.checks.config_keys.top_level_keys import top_level_findings

SPLITS = ('train', 'val', 'test')
WRAPPER_KEYS = frozenset({'optimizer', 'constructor', 'paramwise_cfg', 'accumulative_counts'})
# What mmengine's constructor and ours read, one kind a line.
PARAMWISE_KEYS = frozenset(
    {
        *('custom_keys', 'bypass_duplicate', 'decay_rate', 'decay_type', 'num_layers', 'dcn_offset_lr_mult'),
        *('lr_mult', 'decay_mult', 'bias_lr_mult', 'bias_decay_mult'),
        *('norm_decay_mult', 'flat_decay_mult', 'dwconv_decay_mult'),
    }
)
ENV_KEYS = frozenset({'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'})
# Components in all of mmdet's and mmseg's models, as all keys are that end in `_head`.
PARTS = frozenset({'backbone', 'neck', 'optimizer', 'loss_decode', 'loss_cls', 'loss_bbox', 'loss_mask', 'loss_iou'})
# How like a known name an unknown one must be to pass for its misspelling.
ALIKE, MORE_ALIKE = 0.8, 0.87


class Place(NamedTuple):
    """What is expected at a place of the config.

    Args:
        registries: Where the type is looked up.
        is_certain: Whether it is built from there for certain, so that a type must be found.
        more: Keys that are taken out before it is built.
        more_inside: Keys that what is around it may take out of its parts.
        default: The type without one.
    """

    registries: tuple[Registry, ...]
    is_certain: bool = True
    more: frozenset[str] = frozenset()
    default: str | None = None
    more_inside: frozenset[str] = frozenset()


_MODEL_PARTS = (registry.MODELS, registry.TASK_UTILS, registry.WEIGHT_INITIALIZERS, registry.TRANSFORMS)
_DATA_PARTS = (registry.DATASETS, registry.TRANSFORMS, registry.DATA_SAMPLERS, registry.MODELS, registry.TASK_UTILS)
_EVALUATORS = Place((registry.METRICS, registry.EVALUATOR))
# Nested keys whose registry is certain.
_INNER = {
    'pipeline': Place((registry.TRANSFORMS,)),
    'dataset': Place((registry.DATASETS,)),
    'datasets': Place((registry.DATASETS,)),
    'backbone': Place((registry.MODELS,)),
    'neck': Place((registry.MODELS,)),
    'optimizer': Place((registry.OPTIMIZERS,)),
    'vis_backends': Place((registry.VISBACKENDS,)),
}


def key_findings(cfg: Config) -> Iterator[Finding]:
    """Return what is wrong with the keys of a config.

    Args:
        cfg: As `load_config` returns it.

    Example:
        >>> cfg = Config(dict(model=dict(type='BaseDataPreprocessor', non_blockin=True), default_scope='mmengine'))
        >>> [finding.sentence for finding in key_findings(cfg)]
        ["model: BaseDataPreprocessor has no argument 'non_blockin'; the nearest is 'non_blocking'."]
    """
    yield from top_level_findings(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        for key, place, value in _places(cfg):
            yield from _component(key, value, place)
        yield from _plain(cfg, 'env_cfg', ENV_KEYS)
        yield from _plain(cfg, 'auto_scale_lr', {'base_batch_size', 'enable'})
        yield from _plain(cfg.get('optim_wrapper') or {}, 'paramwise_cfg', PARAMWISE_KEYS, 'optim_wrapper.')


def _places(cfg: Config) -> Iterator[tuple[str, Place, object]]:
    """Yield the components that a runner builds: key, what is expected, config."""
    model = Place((registry.MODELS,))
    found = [
        ('model', model),
        # A model may have a default for it.
        ('data_preprocessor', model._replace(is_certain=False)),
        ('tta_model', model._replace(more=frozenset({'module'}))),
        ('optim_wrapper', Place((registry.OPTIM_WRAPPERS,), more=WRAPPER_KEYS, default='OptimWrapper')),
        ('visualizer', Place((registry.VISUALIZERS,))),
        ('log_processor', Place((registry.LOG_PROCESSORS,), default='LogProcessor')),
        ('model_wrapper_cfg', Place((registry.MODEL_WRAPPERS,), default='MMDistributedDataParallel')),
        ('val_evaluator', _EVALUATORS),
        ('test_evaluator', _EVALUATORS),
        ('param_scheduler', Place((registry.PARAM_SCHEDULERS,))),
        ('custom_hooks', Place((registry.HOOKS,), more=frozenset({'priority'}))),
    ]
    yield from ((key, place, cfg[key]) for key, place in found if cfg.get(key) is not None)
    hook = Place((registry.HOOKS,), more=frozenset({'priority'}))
    for name, value in (cfg.get('default_hooks') or {}).items():
        yield from [(f'default_hooks.{name}', hook, value)] if value is not None else []
    for split in SPLITS:
        key = f'{split}_cfg'
        loop = cfg.get(key)
        if loop:
            default = {'val': 'ValLoop', 'test': 'TestLoop'}.get(split)
            if split == 'train':
                default = 'EpochBasedTrainLoop' if loop.get('by_epoch', True) else 'IterBasedTrainLoop'
            yield key, Place((registry.LOOPS,), more=frozenset({'by_epoch'}), default=default), loop
        if cfg.get(f'{split}_dataloader'):
            yield f'{split}_dataloader', _DATALOADER, cfg[f'{split}_dataloader']


_DATALOADER = Place(())


def _component(key: str, value: object, place: Place) -> Iterator[Finding]:
    """Check a component, or a list of them, and what is inside."""
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _component(f'{key}.{i}', item, place)
    elif not isinstance(value, dict):
        if place.is_certain and not callable(value):
            yield Finding(f'{key}: it must be a dict; got {value!r}.')
    elif place is _DATALOADER:
        # What mmengine takes out before PyTorch gets it, it names in its code.
        more = signature(Runner.build_dataloader).literals
        yield from _arguments(key, value, 'the dataloader', signature(DataLoader), more)
        yield from _children(key, value, _DATA_PARTS)
    else:
        yield from _typed(key, value, place)


def _typed(key: str, value: dict, place: Place) -> Iterator[Finding]:
    kind = value.get('type', place.default)
    if kind is None:
        if place.is_certain:
            yield Finding(f'{key}: it has no type, which says what it is.')
        return
    if not isinstance(kind, str) and not callable(kind):
        yield Finding(f'{key}.type: it must be a name; got {kind!r}.')
        return
    components = _resolve(kind, value.get('_scope_'), place.registries)
    name = kind if isinstance(kind, str) else getattr(kind, '__name__', str(kind))
    if not components and place.is_certain and isinstance(kind, str):
        yield Finding(f'{key}.type: there is no {kind}{nearest(kind, _names(place.registries), 0.6)}.')
    known = [signature(component) for component in components]
    problems = [list(_arguments(key, value, name, found, place.more)) for found in known]
    # A name that several registries have is taken for the one that fits.
    yield from min(problems, key=len, default=[])
    # What a component takes out of its parts' configs before it builds them, it names in its code.
    more = place.more_inside.union(*(found.literals for found in known))
    yield from _children(key, value, place.registries if len(place.registries) > 1 else _parts_of(place), more)


def _parts_of(place: Place) -> tuple[Registry, ...]:
    is_data = place.registries and place.registries[0] in (registry.DATASETS, registry.TRANSFORMS)
    return _DATA_PARTS if is_data else _MODEL_PARTS


def _children(
    key: str, value: dict, registries: tuple[Registry, ...], more: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    for name, child in value.items():
        if isinstance(child, str | int | float) and (name in PARTS or name.endswith('_head')):
            yield Finding(f'{key}.{name}: it must be a dict; got {child!r}.')
        elif isinstance(child, dict | list | tuple):
            place = _INNER.get(name)
            if place and (_has_type(child) or name == 'pipeline'):
                yield from _component(f'{key}.{name}', child, place._replace(more=more, more_inside=more))
            else:
                yield from _uncertain(f'{key}.{name}', child, registries, more)


def _has_type(value: object) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(_has_type(item) for item in value)
    return isinstance(value, dict) and 'type' in value


def _uncertain(key: str, value: object, registries: tuple[Registry, ...], more: frozenset[str]) -> Iterator[Finding]:
    """Check what may be a component: a dict with a type somewhere inside of another."""
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _uncertain(f'{key}.{i}', item, registries, more)
    elif isinstance(value, dict) and 'type' in value:
        yield from _typed(key, value, Place(registries, is_certain=False, more=more, more_inside=more))
    elif isinstance(value, dict):
        yield from _children(key, value, registries, more)


def _arguments(key: str, value: dict, name: str, known: Signature, more: Collection[str] = ()) -> Iterator[Finding]:
    """Compare a component's keys and values with what it takes."""
    for argument, given in value.items():
        if argument in TAKEN_BEFORE or argument in more:
            continue
        if parameter := known.parameters.get(argument):
            if expected := wrong_kind(parameter, given):
                yield Finding(f'{key}.{argument}: it must be {expected}; got {given!r}.')
        elif argument not in known.literals:
            # What **kwargs take is known only to the code that reads them.
            hint = nearest(argument, known.parameters, MORE_ALIKE if known.is_open else ALIKE)
            if not known.is_open:
                yield Finding(f'{key}: {name} has no argument {argument!r}{hint}.')
            elif hint:
                yield Finding(f'{key}: {name} is not known to take {argument!r}{hint}.', is_error=False)


def _plain(holder: dict | Config, key: str, known: Collection[str], prefix: str = '') -> Iterator[Finding]:
    """Warn of keys that are almost those of a plain dict."""
    given = holder.get(key)
    for name in given if isinstance(given, dict) else ():
        if name not in known and (hint := nearest(name, known)):
            yield Finding(f'{prefix}{key}.{name}: nothing reads it{hint}.', is_error=False)


def _resolve(kind: str | Callable, scope: str | None, registries: Iterable[Registry]) -> list[Callable]:
    """Return what a type names: in more than one registry, if the place does not say which."""
    if not isinstance(kind, str):
        return [kind] if callable(kind) else []
    found = []
    for own in registries:
        with own.root.switch_scope_and_registry(scope) as current:
            component = current.get(kind)
        if component is not None and component not in found:
            found.append(component)
    return found


def _names(registries: Iterable[Registry]) -> set[str]:
    names: set[str] = set()
    for own in registries:
        with own.root.switch_scope_and_registry(None) as current:
            names.update(registered_names(current))
    return names


def nearest(name: str, names: Iterable[str], alike: float = ALIKE) -> str:
    """Return the name that is spelled most like `name` as the end of a message; '' if none is like it.

    Example:
        >>> nearest('batchsize', ['batch_size', 'num_workers'])
        "; the nearest is 'batch_size'"
    """
    found = difflib.get_close_matches(name, sorted(names), n=1, cutoff=alike)
    return f'; the nearest is {found[0]!r}' if found else ''


KEYS = Check('keys', 'the names of keys and types', lambda plan: key_findings(plan.cfg))
