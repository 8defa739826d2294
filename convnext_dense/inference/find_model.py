"""Finds the config and the weights of a trained model: in a work directory, in one file, or by their names."""

import difflib
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from convnext_dense.config import load_config
from convnext_dense.config.find import URL_MARK, WEIGHT_SUFFIXES, is_model, our_configs
from convnext_dense.config.foreign import check_strings, config_as_data, registered_types_only
from convnext_dense.config.options import check_checkpoint
from convnext_dense.config.resume import find_latest
from convnext_dense.errors import UsageError
from convnext_dense.inference.pipeline import test_pipeline
from convnext_dense.inference.published_models import config_of, published_models
from convnext_dense.inference.tested_parts import tested_parts
from convnext_dense.weights.published import DETRS, PUBLISHED
from convnext_dense.weights.storage.sources import read_weights

BEST = 'best_*.pth'
SCOPES = ('mmdet', 'mmseg')


@dataclass(frozen=True)
class FoundModel:
    """A model's config, and where its weights are.

    Args:
        cfg: The config.
        checkpoint: A file, an address or a published name.
        name: What the model is called.
        is_foreign: Whether the config comes out of the checkpoint, which may be anyone's.
    """

    cfg: Config
    checkpoint: str
    name: str
    is_foreign: bool = False


def find_model(source: str | Path, checkpoint: str | None = None) -> FoundModel:
    """Return the config and the weights of a model.

    Args:
        source: The work directory of a training; a checkpoint of one, which holds its config, or its address; the name
            of a published model; or, with `checkpoint`, a config as in `load_config`.
        checkpoint: A file, an address or a published name. By default a work directory's best one, or its last.

    Raises:
        UsageError: If there is none.

    Example:
        >>> find_model('work_dirs/my_run').checkpoint  # doctest: +SKIP
        'work_dirs/my_run/best_mIoU_iter_4000.pth'
    """
    text = os.path.expanduser(source)
    if os.path.isdir(text):
        return _in_work_dir(Path(text), checkpoint)
    if text.endswith(WEIGHT_SUFFIXES):
        if checkpoint:
            raise UsageError(f'model: {text} is a checkpoint; give its config before another one, {checkpoint}.')
        return _in_checkpoint(text)
    if not checkpoint and (config := config_of(text)):
        return FoundModel(load_config(config), text, text)
    if not checkpoint:
        raise UsageError(_no_model(text))
    check_checkpoint(checkpoint, 'checkpoint')
    return FoundModel(load_config(text), checkpoint, Path(text).stem)


@contextmanager
def tested_config(source: str, checkpoint: str | None = None) -> Generator[tuple[str | Config, str, str | None]]:
    """Find the config and the checkpoint that a test needs, as `find_model` does.

    While the block runs, the config of a checkpoint, which may be anyone's, builds only what OpenMMLab's and this
    package's registries hold. It is what `tested_parts` leaves of it.

    Args:
        source: As in `find_model`, or a config, which is returned as it is.
        checkpoint: As in `find_model`.

    Returns:
        The config, or its file or name, as `load_config` takes it; the checkpoint; and the work directory, if `source`
        is one.

    Raises:
        UsageError: If there is no model.

    Example:
        >>> with tested_config('work_dirs/my_run') as (config, checkpoint, _):  # doctest: +SKIP
        ...     test(load_config(config), checkpoint)
    """
    if checkpoint and not is_model(source):
        yield source, checkpoint, None
        return
    found = find_model(source, checkpoint)
    if not found.is_foreign:
        folder = os.path.expanduser(source)
        yield found.cfg.filename, found.checkpoint, folder if os.path.isdir(folder) else None
        return
    tested = tested_parts(found.cfg, found.checkpoint)
    with registered_types_only():
        yield Config(tested, filename=f'{found.name}.py', cfg_text=found.name), found.checkpoint, None


def is_checkpoint(text: str) -> bool:
    """Return whether a text names weights and no image.

    Args:
        text: A path, an address or a name.

    Example:
        >>> is_checkpoint('epoch_3.pth'), is_checkpoint('photo.jpg')
        (True, False)
    """
    return text.endswith(WEIGHT_SUFFIXES) or (text in PUBLISHED and not os.path.exists(text))


def _no_model(text: str) -> str:
    if text in DETRS:
        return f'model: {text} has no config in this package; give a config of its size before it.'
    if text in PUBLISHED:
        return f'model: {text} is a backbone, and no detector or segmenter; give a model, or the config of one first.'
    if text.endswith('.py') or text in our_configs():
        return f'model: {text} is a config; give its checkpoint, too.'
    similar = difflib.get_close_matches(text, published_models(), n=3)
    hint = f'; published models of a similar name are {", ".join(similar)}' if similar else ''
    return (
        f'model: {text} is no work directory, no checkpoint ({", ".join(WEIGHT_SUFFIXES)}) and no published '
        f'model{hint}.'
    )


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
    return FoundModel(load_config(str(configs[-1])), checkpoint, folder.absolute().name)


def _in_checkpoint(source: str) -> FoundModel:
    meta = read_weights(source).get('meta')
    config = config_as_data(meta.get('cfg')) if isinstance(meta, dict) else {}
    if not isinstance(config.get('model'), dict) or config.get('default_scope') not in SCOPES:
        raise UsageError(f'model: {source} holds no config of a detector or a segmenter; give its config, too.')
    cfg = Config(config)
    # Names of classes and paths may look like calls, and are not what is built.
    for part in (config['model'], test_pipeline(cfg)):
        check_strings(part, source, 'model')
    file = Path(source)
    # Every training has a best_mIoU_iter_4000.pth, so its folder says more.
    folder = file.resolve().parent.name
    name = file.stem if URL_MARK in source or not folder else f'{folder}_{file.stem}'
    return FoundModel(cfg, source, name, is_foreign=True)
