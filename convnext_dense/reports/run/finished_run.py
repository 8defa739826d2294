"""A run as its work dir tells it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from convnext_dense.config.resolved.values import values_of
from convnext_dense.config.training_options.metrics import points_factor
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.recording.record import ValidationRecord, read_record
from convnext_dense.reports.run.logged import SCALARS, Curve, read_curves
from convnext_dense.wording import counted

FACTS_FILE = 'run_facts.json'
# What tells seeds of one recipe apart.
SEED_KEYS = ('work_dir', 'randomness.seed', 'resume', 'load_from', 'launcher')
# How deep below a folder its runs are, such as those of a comparison.
DEPTH = 3


@dataclass(frozen=True)
class FinishedRun:
    """A run.

    Args:
        folder: Its work dir.
        name: What the report calls it.
        training: What it logged in training: by name, the values by step.
        validation: What it logged in validations, likewise; scores that are known to be parts of one as points, from 0
            to 100.
        config: The values of its config by their keys.
        facts: What was noted when it began: its command, machine, data, and differences of its config.
        record: What its last validation found, if it kept that.
    """

    folder: Path
    name: str
    training: dict[str, Curve]
    validation: dict[str, Curve]
    config: dict[str, Any]
    facts: dict[str, Any]
    record: ValidationRecord | None

    @property
    def recipe(self) -> str:
        """What it has in common with runs of other seeds."""
        return repr([(key, value) for key, value in self.config.items() if key not in SEED_KEYS])


def find_runs(places: Sequence[str | Path]) -> list[Path]:
    """Return the work dirs of runs: those given, or those inside of a given folder.

    Args:
        places: Folders.

    Raises:
        UsageError: If one is no folder, or neither it nor what is in it is a run's.
    """
    found: list[Path] = []
    for place in map(Path, places):
        if not place.is_dir():
            raise UsageError(f'runs: there is no folder {place}; give the work dirs of runs.')
        inside: list[Path] = []
        for depth in range(DEPTH):
            folders = sorted({file.parents[2] for file in place.glob('*/' * depth + SCALARS)})
            # What is inside of a run, such as its evaluation, is none of its own.
            inside += [folder for folder in folders if not any(folder.is_relative_to(run) for run in inside)]
        if not inside:
            raise UsageError(f'runs: {place} holds no run: it has no logged scores (*/vis_data/scalars.json).')
        found += sorted(inside)
    return list(dict.fromkeys(Path(os.path.abspath(folder)) for folder in found))


def read_runs(folders: Sequence[Path]) -> list[FinishedRun]:
    """Return runs by their work dirs, named by what tells them apart.

    Args:
        folders: As `find_runs` returns them.

    Raises:
        UsageError: If a file is damaged.
    """
    common = os.path.commonpath(folders) if len(folders) > 1 else folders[0].parent
    return [_read(folder, os.path.relpath(folder, common)) for folder in folders]


def groups_of(runs: Sequence[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Return runs that differ in nothing except their seeds as groups, by a name."""
    recipes: dict[str, list[FinishedRun]] = {}
    for run in runs:
        recipes.setdefault(run.recipe, []).append(run)
    groups: dict[str, list[FinishedRun]] = {}
    for members in recipes.values():
        name = members[0].name
        if len(members) > 1:
            parent = os.path.commonpath([run.name for run in members])
            name = f'{parent or members[0].name}, {counted(len(members), "seed")}'
        groups[name] = members
    return groups


def _read(folder: Path, name: str) -> FinishedRun:
    training, logged = read_curves(folder)
    validation = {
        name: {step: value * (points_factor(name) or 1.0) for step, value in curve.items()}
        for name, curve in logged.items()
    }
    facts = {}
    if (file := folder / FACTS_FILE).is_file():
        try:
            facts = json.loads(file.read_text(encoding='utf-8'))
        except ValueError as error:
            raise UsageError(f'{file} is damaged; delete it.') from error
    return FinishedRun(folder, name, training, validation, _config(folder), facts, read_record(folder))


def _config(folder: Path) -> dict[str, Any]:
    file = config_file(folder)
    return values_of(Config.fromfile(file).to_dict()) if file else {}


def config_file(folder: Path) -> Path | None:
    """Return the config that a run wrote into its work dir, the newest of several; None if there is none."""
    files = sorted(folder.glob('*.py'), key=lambda file: file.stat().st_mtime)
    return files[-1] if files else None
