"""Finds the config and the weights of a trained model: in a work directory, in one file, or by their names."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from convnext_dense.checks.resume import config_as_data
from convnext_dense.config import load_config
from convnext_dense.config.foreign import check_strings
from convnext_dense.config.options import check_checkpoint
from convnext_dense.config.resume import find_latest
from convnext_dense.errors import UsageError
from convnext_dense.weights.sources import read_weights

WEIGHT_SUFFIXES = ('.pth', '.pt')
BEST = 'best_*.pth'


@dataclass(frozen=True)
class FoundModel:
    """A model's config, and where its weights are.

    Args:
        cfg: The config.
        checkpoint: A file, an address or a published name.
        is_foreign: Whether the config comes out of the checkpoint, which may be anyone's.
    """

    cfg: Config
    checkpoint: str
    is_foreign: bool = False


def find_model(source: str | Path, checkpoint: str | None = None) -> FoundModel:
    """Return the config and the weights of a model.

    Args:
        source: The work directory of a training; a checkpoint of one, which holds its config; or, with `checkpoint`, a
            config as in `load_config`.
        checkpoint: A file, an address or a published name. By default a work directory's best one, or its last.

    Raises:
        UsageError: If there is none.

    Example:
        >>> find_model('work_dirs/my_run').checkpoint  # doctest: +SKIP
        'work_dirs/my_run/best_mIoU_iter_4000.pth'
    """
    path = Path(source)
    if path.is_dir():
        return _in_work_dir(path, checkpoint)
    if path.suffix in WEIGHT_SUFFIXES:
        if checkpoint:
            raise UsageError(f'model: {path} is a checkpoint; give its config before another one, {checkpoint}.')
        return _in_checkpoint(path)
    if not checkpoint:
        raise UsageError(
            f'model: {source} is no work directory and no .pth file; if it is a config, give its checkpoint, too.'
        )
    check_checkpoint(checkpoint, 'checkpoint')
    return FoundModel(load_config(str(source)), checkpoint)


def _in_work_dir(folder: Path, checkpoint: str | None) -> FoundModel:
    configs = sorted(folder.glob('*.py'), key=lambda file: file.stat().st_mtime)
    if not configs:
        raise UsageError(f'model: there is no config (*.py) in {folder}; give the work directory of a training.')
    if checkpoint is None:
        best = sorted(folder.glob(BEST), key=lambda file: file.stat().st_mtime)
        last = best[-1] if best else find_latest(folder)[0]
        if last is None:
            raise UsageError(f'model: there is no checkpoint in {folder}; train first.')
        checkpoint = str(last)
    check_checkpoint(checkpoint, 'checkpoint')
    return FoundModel(load_config(str(configs[-1])), checkpoint)


def _in_checkpoint(file: Path) -> FoundModel:
    meta = read_weights(str(file)).get('meta')
    config = config_as_data(meta.get('cfg')) if isinstance(meta, dict) else {}
    if not isinstance(config.get('model'), dict) or config.get('default_scope') not in ('mmdet', 'mmseg'):
        raise UsageError(f'model: {file} holds no config of a detector or a segmenter; give its config, too.')
    check_strings(config.get('model'), str(file))
    return FoundModel(Config(config), str(file), is_foreign=True)
