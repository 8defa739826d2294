"""Loads a config."""

import re
from pathlib import Path

from mmengine.config import Config

from convnext_dense.config.channels import fit_data_preprocessor
from convnext_dense.config.find import find_config
from convnext_dense.errors import UsageError


def load_config(
    path: str,
    work_dir: str | None = None,
    cfg_options: dict | None = None,
    launcher: str = 'none',
    backbone: str | None = None,
    pretrained: bool = True,
    recipe: str | None = None,
) -> Config:
    """Load a config of this package's, of mmdet's or mmseg's, or of the user's.

    Args:
        path: A file, or a name as in `find_config`.
        work_dir: Where logs and checkpoints go. Defaults to the config's own, then to ``work_dirs/<config name>``,
            followed by the backbone's name, the recipe and ``from-scratch`` as they are given.
        cfg_options: Keys to change, such as ``{'train_dataloader.batch_size': 4}``. They are applied after the
            backbone and the recipe.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        backbone: The name of a backbone to put into the config, as in `set_backbone`.
        pretrained: Whether the backbone starts from published weights, this one or the config's own.
        recipe: The name of an optimizer to put into the config, as in `set_recipe`.

    Raises:
        UsageError: If there is no such file, it cannot be read as a config, or the backbone or the recipe does not fit
            it.

    Example:
        >>> cfg = load_config('mask-rcnn_convnext-demo_fpn_demo-coco')
        >>> cfg.model.type
        'MaskRCNN'
    """
    file = find_config(path)
    if backbone is not None and not backbone.strip():
        raise UsageError('backbone: its name is empty; give one, or leave it out.')
    try:
        cfg = Config.fromfile(file)
    except Exception as error:
        raise UsageError(f'config {file}: {type(error).__name__}: {error}') from error
    for key in ('model', 'default_scope'):
        if key not in cfg:
            raise UsageError(f'config {file} has no {key!r}; it must be a whole config of mmdet or mmseg style.')
    if backbone:
        # Imported here so that a config without another backbone needs no PyTorch yet.
        from convnext_dense.config.backbone import set_backbone

        set_backbone(cfg, backbone, pretrained)
    elif not pretrained:
        from convnext_dense.config.backbone.swap import start_from_scratch

        start_from_scratch(cfg)
    if backbone or recipe:
        from convnext_dense.config.recipe import report_optimizer, set_recipe

        if recipe:
            set_recipe(cfg, recipe)
        report_optimizer(cfg, recipe)
    try:
        cfg.merge_from_dict(cfg_options or {})
    except Exception as error:
        raise UsageError(f'cfg_options: {type(error).__name__}: {error}') from error
    fit_data_preprocessor(cfg)
    cfg.launcher = launcher
    parts = [file.stem, *([file_name(backbone)] if backbone else []), *([f'recipe-{recipe}'] if recipe else [])]
    default = '_'.join(parts if pretrained else [*parts, 'from-scratch'])
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / default)
    return cfg


def file_name(backbone: str) -> str:
    """Return a backbone's name as a part of a file's.

    Example:
        >>> file_name('mmdet/ResNet(depth=101)')
        'mmdet-ResNet-depth-101'
    """
    return re.sub(r'[^A-Za-z0-9._]+', '-', backbone).strip('-')
