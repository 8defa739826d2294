"""Writes the backbone that a distillation has trained to a file of weights."""

import copy
from pathlib import Path

import timm
from mmengine.config import Config
from mmengine.registry import MODELS

from convnext_dense.config.resume import find_latest
from convnext_dense.errors import RunError
from convnext_dense.version import __version__
from convnext_dense.weights.published import PUBLISHED
from convnext_dense.weights.recognize import BACKBONE
from convnext_dense.weights.storage.files import DISTILLATION, read_file, write_file

UNKNOWN_LICENSE = 'not stated by timm'


def write_backbone(cfg: Config, file: str | Path) -> dict:
    """Write the backbone of a finished distillation, by its last checkpoint.

    The file has the layout of this package, with an output norm for each stage: those that did not learn are as they
    were initialized. Its `meta` says where the weights come from.

    Args:
        cfg: The run's config, as `distillation_config` returns it.
        file: A new file that ends in .pth, .pt or .safetensors.

    Returns:
        Where the weights come from: teacher, licenses, what the student started from, images, epochs.

    Raises:
        RunError: If the work dir has no checkpoint.
        CheckpointError: If the file cannot be written.

    Example:
        >>> write_backbone(cfg, 'backbone.safetensors')['epochs']  # doctest: +SKIP
        100
    """
    content = _last_checkpoint(cfg, file)
    trained = {
        name.removeprefix(BACKBONE): tensor
        for name, tensor in content['state_dict'].items()
        if name.startswith(BACKBONE)
    }
    backbone = copy.deepcopy(cfg.model.backbone)
    backbone.update(out_indices=[0, 1, 2, 3], init_cfg=None)
    weights = {**MODELS.build(backbone).state_dict(), **trained}
    origin = _origin(cfg, content['meta'])
    write_file(file, weights, {DISTILLATION: origin})
    return origin


def _last_checkpoint(cfg: Config, file: str | Path) -> dict:
    # What a run resumed from is deleted when it saves others.
    if cfg.get('resume') and cfg.get('load_from') and Path(cfg.load_from).is_file():
        content = read_file(cfg.load_from)
        if content['meta']['epoch'] >= cfg.train_cfg.max_epochs:
            # Nothing was left to train, and the work dir may be another.
            return content
    checkpoint, _ = find_latest(Path(cfg.work_dir))
    if checkpoint is None:
        raise RunError(f'{file} was not written: there is no checkpoint in {cfg.work_dir}.')
    return read_file(checkpoint)


def _origin(cfg: Config, meta: dict) -> dict:
    teacher, backbone = cfg.model.teacher, cfg.model.backbone
    start = (backbone.get('init_cfg') or {}).get('checkpoint')
    return dict(
        teacher=f'timm/{teacher.model_name}',
        teacher_weights=_name(teacher.checkpoint),
        teacher_license=_license(teacher.model_name),
        student_weights=_name(start) if start else 'random',
        **(dict(student_license=PUBLISHED[start].license) if start in PUBLISHED else {}),
        images=cfg.num_images,
        size=teacher.image_size,
        epochs=meta['epoch'],
        made_by=f'convnext_dense {__version__}',
    )


def _name(source: str) -> str:
    """Return the name of weights. The folder of a file is that of one machine."""
    return source if '://' in source or source in PUBLISHED else Path(source).name


def _license(model_name: str) -> str:
    config = timm.get_pretrained_cfg(model_name)
    return (config and config.license) or UNKNOWN_LICENSE
