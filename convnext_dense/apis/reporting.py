"""Reports on finished runs as a page."""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from convnext_dense.apis.environment import describe_environment
from convnext_dense.config.bases import base_files
from convnext_dense.config.resolved.values import ABSENT, differences
from convnext_dense.errors import UsageError, describe
from convnext_dense.evaluation.output_files import write_whole
from convnext_dense.reports.run.finished_run import FACTS_FILE, find_runs, read_runs
from convnext_dense.reports.run.page import run_page

REPORT_FILE = 'report.html'
# Of more images, classes are not counted.
MOST_COUNTED = 20000
SHOWN_CLASSES = 40
# What says where a run is, or is made of other keys.
OTHER_KEYS = ('work_dir', 'launcher', '_base_')
SHOWN_CHARACTERS = 300


def report(runs: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write one page on finished runs: scores, curves, errors, predictions, data, configs and machines.

    Args:
        runs: Work dirs, or folders that hold those of several runs, such as a comparison's.
        out: The page. Defaults to ``report.html`` in the work dir, or in the folder that holds all of them.

    Returns:
        The page.

    Raises:
        UsageError: If a folder is no run's, one of its files is damaged, or the page cannot be written.

    Example:
        >>> report(['work_dirs/my_run'])  # doctest: +SKIP
        PosixPath('work_dirs/my_run/report.html')
    """
    folders = find_runs(runs)
    default = Path(os.path.relpath(os.path.commonpath(folders)), REPORT_FILE)
    file = Path(out) if out else default
    page = run_page(read_runs(folders))
    with write_whole(file, 'out') as partial:
        partial.write_text(page, encoding='utf-8')
    return file


def report_finished_run(work_dir: str | Path) -> None:
    """Write the report on a run that ends now, in the main process. What keeps it from that is logged and no more.

    Args:
        work_dir: The run's work dir.
    """
    if not is_main_process():
        return
    try:
        print_log(f'report: {report([work_dir])}', logger='current')
    except Exception as error:  # noqa: BLE001 - a finished run does not fail
        print_log(f'report: it could not be written: {describe(error)}', logger='current')


def note_run_facts(runner: Runner, cfg: Config) -> None:
    """Note what a run is before it begins, for its report. What cannot be noted is left out.

    Args:
        runner: The runner.
        cfg: Its config, as `load_config` returns it.
    """
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
    bases = base_files(Path(cfg.filename)) if cfg.filename else []
    if not bases:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, 'bases.py')
        whole.write_text(f'_base_ = {[str(base.resolve()) for base in bases]!r}\n')
        base = Config.fromfile(whole)
    found = [
        (part.key, *(None if value is ABSENT else repr(value)[:SHOWN_CHARACTERS] for value in (part.first, part.second)))
        for part in differences(base.to_dict(), cfg.to_dict())
        if part.key.partition('.')[0] not in OTHER_KEYS
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
    facts = {split: f'{len(dataset):,} images'}
    if split == 'train':
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
