"""Validates a finished run again, for its report."""

import shutil
from pathlib import Path

from mmengine.config import Config

from convnext_dense.apis.errors.run_errors import errors_as_sentences
from convnext_dense.apis.runner import build_runner
from convnext_dense.checks import RunPlan, check_run
from convnext_dense.config.resume import find_latest
from convnext_dense.config.tree import bare_type
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.recording.record import RECORD_FILE
from convnext_dense.evaluation.strict_load_runner import StrictLoadRunner
from convnext_dense.reports.run.finished_run import config_file

# Its logs are none of the run's.
FOLDER = 'evaluation'


def record_validation(folder: Path) -> None:
    """Validate a run's checkpoint, the best one if it kept it, unless the run has a record of its last validation.

    Args:
        folder: The run's work dir.

    Raises:
        UsageError: If it has no config, no checkpoint or nothing to validate on, or a check finds an error.

    Example:
        >>> record_validation(Path('work_dirs/my_run'))  # doctest: +SKIP
    """
    if (folder / RECORD_FILE).is_file():
        return
    file = config_file(folder)
    best = sorted(folder.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    checkpoint = best[-1] if best else find_latest(folder)[0]
    if file is None or checkpoint is None:
        raise UsageError(
            f'evaluate: {folder} has no {"checkpoint" if file else "config"}, so nothing can be predicted.'
        )
    cfg = Config.fromfile(file)
    if not (cfg.get('val_dataloader') or {}).get('dataset'):
        raise UsageError(f'evaluate: the config of {folder} has no val_dataloader.dataset.')
    cfg.update(load_from=str(checkpoint), resume=False, launcher='none', work_dir=str(folder / FOLDER))
    # They keep the best checkpoint, and end a training.
    cfg.setdefault('default_hooks', {})['checkpoint'] = None
    cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks') or [] if 'Stopping' not in bare_type(hook.get('type'))]
    check_run(RunPlan(cfg, ('val',), cfg.load_from))
    with errors_as_sentences(cfg):
        build_runner(cfg, StrictLoadRunner).val()
    if (folder / FOLDER / RECORD_FILE).is_file():
        shutil.move(folder / FOLDER / RECORD_FILE, folder / RECORD_FILE)
