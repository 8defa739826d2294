"""Distills a ConvNeXt, and writes its backbone to a file."""

from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from convnext_dense.apis.training import train
from convnext_dense.config.machine import check_output_file
from convnext_dense.distillation import write_backbone
from convnext_dense.errors import CheckpointError, RunError, UsageError
from convnext_dense.weights.storage.files import check_ending, check_new_file

BACKBONE_FILE = 'backbone.safetensors'


def distill(cfg: Config, out: str | Path | None = None, has_panel: bool = False) -> Path:
    """Train a ConvNeXt to have a transformer's features, and write it to a file that `init_cfg` takes.

    It is `train`: it can be stopped, resumes, and logs alike. A run that resumes replaces the file.

    Args:
        cfg: As `distillation_config` returns it.
        out: The file, which ends in .pth, .pt or .safetensors. Defaults to ``backbone.safetensors`` in the work dir.
        has_panel: As in `train`.

    Returns:
        The file.

    Raises:
        UsageError: If the file is there already and the run does not resume, or as `train` does.
        RunError: As `train` does.
        RunStopped: As `train` does.

    Example:
        >>> from convnext_dense.distillation import distillation_config
        >>> cfg = distillation_config('photos', 'timm/vit_base_patch16_dinov3', 'convnext_tiny')  # doctest: +SKIP
        >>> distill(cfg)  # doctest: +SKIP
        PosixPath('work_dirs/distill_convnext_tiny_vit_base_patch16_dinov3/backbone.safetensors')
    """
    file = Path(out) if out else Path(cfg.work_dir, BACKBONE_FILE)
    check_output_file(file, 'out')
    try:
        (check_ending if cfg.get('resume') else check_new_file)(file)
    except UsageError as error:
        raise UsageError(f'out: {error}') from error
    train(cfg, has_panel=has_panel)
    if is_main_process():
        unfinished = file.with_name(f'unfinished-{file.name}')
        unfinished.unlink(missing_ok=True)
        try:
            origin = write_backbone(cfg, unfinished)
        except CheckpointError as error:
            raise RunError(f'out: {error} The training is kept in {cfg.work_dir}; resume writes the file.') from error
        unfinished.replace(file)
        print(f'backbone: {file}, by {origin["teacher"]} (license {origin["teacher_license"]}).')
    return file
