"""Loads a config."""

import re
from pathlib import Path

from mmengine.config import Config

from convnext_dense.config.find import find_config
from convnext_dense.errors import UsageError


def load_config(
    path: str,
    work_dir: str | None = None,
    cfg_options: dict | None = None,
    launcher: str = 'none',
    backbone: str | None = None,
    pretrained: bool = True,
) -> Config:
    """Load a config of this package's, of mmdet's or mmseg's, or of the user's.

    Args:
        path: A file, or a name as in `find_config`.
        work_dir: Where logs and checkpoints go. Defaults to the config's own, then to ``work_dirs/<config name>``,
            followed by the backbone's name if one is given.
        cfg_options: Keys to change, such as ``{'train_dataloader.batch_size': 4}``. They are applied after the
            backbone.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        backbone: The name of a backbone to put into the config, as in `set_backbone`.
        pretrained: Whether that backbone starts from published weights.

    Raises:
        UsageError: If there is no such file, it cannot be read as a config, or the backbone does not fit it.

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
    try:
        cfg.merge_from_dict(cfg_options or {})
    except Exception as error:
        raise UsageError(f'cfg_options: {type(error).__name__}: {error}') from error
    cfg.launcher = launcher
    default = file.stem + (f'_{file_name(backbone)}' if backbone else '')
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / default)
    return cfg


def file_name(backbone: str) -> str:
    """Return a backbone's name as a part of a file's.

    Example:
        >>> file_name('mmdet/ResNet(depth=101)')
        'mmdet-ResNet-depth-101'
    """
    return re.sub(r'[^A-Za-z0-9._]+', '-', backbone).strip('-')
