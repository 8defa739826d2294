"""Notes what a run is before it begins, for its report."""

import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from convnext_dense.apis.environment import describe_environment
from convnext_dense.config.bases import base_files
from convnext_dense.config.resolved.values import ABSENT, differences, same_differences
from convnext_dense.errors import UsageError, describe
from convnext_dense.evaluation.output_files import write_whole
from convnext_dense.reports.run.finished_run import FACTS_FILE
from convnext_dense.wording import counted

# Of more images, classes are not counted.
MOST_COUNTED = 20000
SHOWN_CLASSES = 40
# What says where a run is, or is made of other keys.
OTHER_KEYS = ('work_dir', 'launcher', '_base_')
SHOWN_CHARACTERS = 300


class RunFactsHook(Hook):
    """Notes before the first step what a run is, for its report. What cannot be noted is left out.

    Args:
        cfg: The run's config, as `load_config` returns it.
    """

    priority = 'LOWEST'

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg

    def before_train(self, runner: Runner) -> None:
        """Write the file."""
        _note(runner, self.cfg)


def _note(runner: Runner, cfg: Config) -> None:
    if not is_main_process():
        return
    facts: dict[str, Any] = dict(command=_command())
    for make in (_differences, _environment, _data):
        try:
            facts |= make(runner, cfg)
        except Exception as error:  # noqa: BLE001 - the run goes on
            runner.logger.info(f'The report will not show the {make.__name__[1:]}: {describe(error)}')
    try:
        with write_whole(Path(runner.work_dir, FACTS_FILE), 'work_dir') as partial:
            partial.write_text(json.dumps(facts, indent=2, default=str), encoding='utf-8')
    except UsageError as error:
        runner.logger.info(str(error))


def _command() -> str:
    program = Path(sys.argv[0])
    name = 'python -m convnext_dense' if program.name == '__main__.py' else program.name
    return f'{name} {shlex.join(sys.argv[1:])}'


def _environment(runner: Runner, cfg: Config) -> dict[str, Any]:
    return dict(environment=describe_environment())


def _differences(runner: Runner, cfg: Config) -> dict[str, Any]:
    """Return what differs from the bases of the config's file."""
    bases = base_files(Path(cfg.filename)) if cfg.filename and Path(cfg.filename).is_file() else []
    if not bases:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, 'bases.py')
        whole.write_text(f'_base_ = {[str(base.resolve()) for base in bases]!r}\n')
        base = Config.fromfile(whole)
    found = [
        (
            ', '.join(keys),
            *(None if value is ABSENT else repr(value)[:SHOWN_CHARACTERS] for value in (part.first, part.second)),
        )
        for keys, part in same_differences(
            part for part in differences(base.to_dict(), cfg.to_dict()) if part.key.partition('.')[0] not in OTHER_KEYS
        )
    ]
    return dict(differences=found, bases=[base.name for base in bases])


def _data(runner: Runner, cfg: Config) -> dict[str, Any]:
    facts = {}
    for split, loader in (('train', runner.train_dataloader), ('val', runner.val_loop and runner.val_loop.dataloader)):
        if loader is not None:
            facts |= _dataset_facts(split, loader.dataset)
    return dict(data=facts)


def _dataset_facts(split: str, dataset: Any) -> dict[str, str]:  # noqa: ANN401 - PyTorch's type has no length
    classes = [str(name) for name in (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()]
    facts = {split: counted(len(dataset), 'image')}
    if split == 'train' and classes:
        facts['classes'] = f'{len(classes)}: {", ".join(classes[:SHOWN_CLASSES])}'
    if not hasattr(dataset, 'get_data_info') or len(dataset) > MOST_COUNTED:
        return facts
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    if infos and 'instances' in infos[0]:
        labels = [part.get('bbox_label', -1) for info in infos for part in info['instances']]
        counts = np.bincount([label for label in labels if 0 <= label < len(classes)], minlength=len(classes))
        order = np.argsort(-counts, kind='stable')[:SHOWN_CLASSES]
        shown = ', '.join(f'{classes[i]} {counts[i]:,}' for i in order.tolist())
        facts[f'{split}, objects'] = f'{len(labels):,}: {shown}' + (' ...' if len(classes) > SHOWN_CLASSES else '')
        empty = sum(not info['instances'] for info in infos)
        if empty:
            facts[f'{split}, images without objects'] = f'{empty:,}'
    return facts
