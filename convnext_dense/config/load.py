"""Loads a config."""

import copy
import re
import traceback
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from mmengine.config import Config

from convnext_dense.compat.configs.python_configs import with_names
from convnext_dense.config.bases import check_bases
from convnext_dense.config.channels import fit_data_preprocessor
from convnext_dense.config.find import find_config
from convnext_dense.config.machine import check_launcher, count_processes
from convnext_dense.datasets.formats.places import data_name
from convnext_dense.errors import UsageError, describe

SPLITS = ('train', 'val', 'test')
DICT, DICTS, TEXT, SWITCH = 'a dict', 'a list of dicts', 'a text', 'True or False'
TYPES = {DICT: dict, DICTS: dict, TEXT: str, SWITCH: bool}
# What every config that has it has as this.
KINDS = {
    (
        *(f'{split}_{part}' for split in SPLITS for part in ('dataloader', 'cfg')),
        *('optim_wrapper', 'default_hooks', 'env_cfg', 'visualizer', 'randomness', 'auto_scale_lr', 'tta_model'),
        'custom_imports',
    ): DICT,
    ('param_scheduler', 'custom_hooks', 'val_evaluator', 'test_evaluator'): DICTS,
    ('work_dir', 'load_from', 'default_scope'): TEXT,
    ('resume',): SWITCH,
}
# The same of parts of these.
KINDS_OF_PARTS = {
    'model': {'backbone': DICT, 'data_preprocessor': DICT},
    'optim_wrapper': {'optimizer': DICT},
    'default_hooks': {'logger': DICT, 'checkpoint': DICT},
    'visualizer': {'vis_backends': DICTS},
}


def load_config(
    path: str | Config,
    work_dir: str | None = None,
    cfg_options: dict | None = None,
    launcher: str = 'none',
    backbone: str | None = None,
    pretrained: bool = True,
    recipe: str | None = None,
    data: str | None = None,
    boxes_to_masks: bool = False,
    epochs: int | None = None,
    iters: int | None = None,
    processes: int | None = None,
    batch_size: int | Callable[[Config], int] | None = None,
    accumulate: int | None = None,
    ema: bool = False,
    save_best: str | None = None,
    patience: int | None = None,
) -> Config:
    """Load a config of this package's, of mmdet's or mmseg's, or of the user's.

    Args:
        path: A file, or a name as in `find_config`; or a config that was read already, which is changed.
        work_dir: Where logs and checkpoints go. Defaults to the config's own, then to ``work_dirs/<config name>``,
            followed by the backbone's name, the recipe, the data's name and ``from-scratch`` as they are given.
        cfg_options: Keys to change, such as ``{'train_dataloader.batch_size': 4}``. They are applied after all else.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        backbone: The name of a backbone to put into the config, as in `set_backbone`.
        pretrained: Whether the backbone starts from published weights, this one or the config's own.
        recipe: The name of an optimizer to put into the config, as in `set_recipe`.
        data: A dataset to put into the config, as in `set_data`.
        boxes_to_masks: Whether objects of `data` without a mask get their box as one.
        epochs: How many epochs to train, as in `set_length`.
        iters: How many steps to train, in place of `epochs`.
        processes: How many processes train. Defaults to the launcher's.
        batch_size: How many images a step has in each process, as in `set_batch_size`, or what finds that out, such as
            `find_batch_size`.
        accumulate: Over how many steps gradients are accumulated, as in `set_accumulation`. The learning rate is scaled
            as in `set_batch_size`.
        ema: Whether weights are averaged, as in `set_ema`.
        save_best: The metric whose best checkpoint is kept, or 'auto', as in `set_save_best`.
        patience: After how many validations without a better score training ends, as in `set_patience`.

    Raises:
        UsageError: If there is no such file, it cannot be read as a config, or the backbone, the recipe, the data, the
            length or what else is asked for does not fit it.

    Example:
        >>> cfg = load_config('mask-rcnn_convnext-demo_fpn_demo-coco')
        >>> cfg.model.type
        'MaskRCNN'
    """
    check_launcher(launcher)
    file = Path(path.filename or path.model.type) if isinstance(path, Config) else find_config(path)
    if backbone is not None and not backbone.strip():
        raise UsageError('backbone: its name is empty; give one, or leave it out.')
    cfg = path if isinstance(path, Config) else _read(file)
    if backbone:
        # Imported here so that a config without another backbone needs no PyTorch yet.
        from convnext_dense.config.backbone import set_backbone

        set_backbone(cfg, backbone, pretrained)
    elif not pretrained:
        from convnext_dense.config.backbone.swap import start_from_scratch

        start_from_scratch(cfg)
    if backbone or recipe:
        from convnext_dense.config.backbone.recipe import report_optimizer, set_recipe

        if recipe:
            set_recipe(cfg, recipe)
        report_optimizer(cfg, recipe)
    added = [
        *([file_name(backbone)] if backbone else []),
        *([f'recipe-{recipe}'] if recipe else []),
        *([file_name(data_name(data))] if data else []),
        *([] if pretrained else ['from-scratch']),
    ]
    default = str(Path('work_dirs', '_'.join([file.stem, *added])))
    if data:
        from convnext_dense.config.data.set_data import set_data

        set_data(cfg, data, work_dir or cfg.get('work_dir') or default, boxes_to_masks)
    elif boxes_to_masks:
        raise UsageError('boxes_to_masks: it changes the objects of data, which is not given.')
    number = processes or count_processes(launcher)
    # A copy of the config as its options will make it, to measure on.
    preview = partial(_preview, cfg, cfg_options, launcher)
    if batch_size is not None or accumulate is not None:
        _set_update(cfg, batch_size, accumulate, number, preview, tuple(cfg_options or ()))
    if epochs is not None or iters is not None:
        from convnext_dense.config.schedule.run_length import measure_epoch
        from convnext_dense.config.schedule.set_length import set_length

        # An epoch has the steps of the dataset and the batch size that the options may change.
        whole = preview()
        set_length(cfg, epochs, iters, cache(lambda: measure_epoch(whole, number).steps))
    if ema or save_best is not None or patience is not None:
        _set_kept_weights(cfg, ema, save_best, patience, preview)
    _set_options(cfg, cfg_options)
    # Not a key: the config that a run writes says what it ran, not how it was asked for.
    object.__setattr__(cfg, 'given_options', tuple(cfg_options or ()))
    _check_parts(cfg, file)
    if data or (cfg.model.get('backbone') or {}).get('in_channels', 3) != 3:
        from convnext_dense.config.data.image_channels import fit_image_channels

        fit_image_channels(cfg, bool(data), cfg_options or {})
    fit_data_preprocessor(cfg)
    cfg.launcher = launcher
    cfg.work_dir = work_dir or cfg.get('work_dir') or default
    return cfg


def _preview(cfg: Config, cfg_options: dict | None, launcher: str) -> Config:
    """Return a copy of a config as its options will make it."""
    whole = copy.deepcopy(cfg)
    _set_options(whole, cfg_options)
    fit_data_preprocessor(whole)
    whole.launcher = launcher
    return whole


def _set_update(
    cfg: Config,
    batch_size: int | Callable[[Config], int] | None,
    accumulate: int | None,
    processes: int,
    preview: Callable[[], Config],
    given: tuple[str, ...],
) -> None:
    """Set what an update of the weights is made from, and the learning rate with it."""
    from convnext_dense.config.schedule.batch_size import set_batch_size
    from convnext_dense.config.training_options.accumulation import set_accumulation

    old = _accumulation(cfg) if accumulate is not None else None
    if accumulate is not None:
        set_accumulation(cfg, accumulate)
    whole = preview()
    size = batch_size(whole) if callable(batch_size) else batch_size
    set_batch_size(cfg, size, processes, _accumulation(whole), given, old)


def _accumulation(cfg: Config) -> int:
    """Return over how many steps a config accumulates gradients."""
    return (cfg.get('optim_wrapper') or {}).get('accumulative_counts') or 1


def _set_kept_weights(
    cfg: Config, ema: bool, save_best: str | None, patience: int | None, preview: Callable[[], Config]
) -> None:
    """Set which weights are validated and kept, and when there will be no better ones."""
    from convnext_dense.config.training_options.averaging import set_ema
    from convnext_dense.config.training_options.best_checkpoint import set_patience, set_save_best

    if ema:
        set_ema(cfg)
    if save_best is not None:
        set_save_best(cfg, save_best, preview())
    if patience is not None:
        set_patience(cfg, patience, preview())


def _read(file: Path) -> Config:
    check_bases(file)
    try:
        cfg = Config.fromfile(file)
        if Config._is_lazy_import(str(file)):
            cfg = with_names(cfg)
    except (Exception, SystemExit) as error:
        # A failed import of `custom_imports` is followed by a list of all folders that were searched.
        cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
        raise UsageError(f'config {_place(error, file)}: {describe(cause)}') from error
    for key in ('model', 'default_scope'):
        if not cfg.get(key):
            raise UsageError(f'config {file} has no {key!r}; it must be a whole config of mmdet or mmseg style.')
        _check_parts(cfg, file)
    return cfg


def _place(error: BaseException, file: Path) -> str:
    """Return which line of a config raised an error: that of a base, if it was there."""
    # What mmengine runs as a config is no module, and has no name.
    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if '__name__' not in frame.f_globals
    ]
    return '{}, line {}'.format(*lines[-1]) if lines else str(file)


def _set_options(cfg: Config, cfg_options: dict | None) -> None:
    for key, value in (cfg_options or {}).items():
        try:
            cfg.merge_from_dict({key: value})
        except Exception as error:
            raise UsageError(f'cfg_options {key}: {describe(error)}') from error


def _check_parts(cfg: Config, file: Path) -> None:
    """Raise UsageError if what every command reads is of another kind."""
    if not isinstance(cfg.model, dict) or 'type' not in cfg.model:
        raise UsageError(f'config {file}: model must be a dict with a type; got {cfg.model!r}.')
    for keys, what in KINDS.items():
        for key in keys:
            if not _is(what, cfg.get(key)):
                raise UsageError(f'config {file}: {key} must be {what}; got {cfg[key]!r}.')
    for holder, parts in KINDS_OF_PARTS.items():
        for key, what in parts.items():
            if not _is(what, (value := (cfg.get(holder) or {}).get(key))):
                raise UsageError(f'config {file}: {holder}.{key} must be {what}; got {value!r}.')
    for split in SPLITS:
        dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
        if dataset is not None:
            _check_dataset(dataset, f'config {file}: {split}_dataloader.dataset')


def _check_dataset(dataset: object, where: str) -> None:
    """Raise UsageError if a dataset, or one inside of it, is none."""
    if not isinstance(dataset, dict):
        raise UsageError(f'{where} must be a dict; got {dataset!r}.')
    for key, what in {'data_root': TEXT, 'ann_file': TEXT, 'data_prefix': DICT, 'datasets': DICTS}.items():
        if not _is(what, dataset.get(key)):
            raise UsageError(f'{where}.{key} must be {what}; got {dataset[key]!r}.')
    if 'dataset' in dataset:
        _check_dataset(dataset['dataset'], f'{where}.dataset')
    for i, part in enumerate(dataset.get('datasets') or []):
        _check_dataset(part, f'{where}.datasets.{i}')


def _is(what: str, value: object) -> bool:
    parts = value if what == DICTS and isinstance(value, list | tuple) else [value]
    return value is None or all(isinstance(part, TYPES[what]) for part in parts)


def file_name(backbone: str) -> str:
    """Return a backbone's name as a part of a file's.

    Example:
        >>> file_name('mmdet/ResNet(depth=101)')
        'mmdet-ResNet-depth-101'
    """
    return re.sub(r'[^A-Za-z0-9._]+', '-', backbone).strip('-')
