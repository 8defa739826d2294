"""Runs `convnext-dense COMMAND` in the tests' own process, which saves its imports."""

import io
import os
import random
import signal
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import torch
from mmengine.utils import ManagerMixin

from convnext_dense.cli.main import main


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what was wrong."""
        (line,) = [line for line in self.err.splitlines() if line.startswith('error: ')]
        return line


def run_command(folder: Path, *arguments: object, report: bool = False) -> Result:
    """Run a command in a folder, as a user would there. Without the report of a training, unless asked for."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with _fresh_process(report), chdir(folder), redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code or 0
    return Result(status, out.getvalue(), err.getvalue())


@contextmanager
def chdir(folder: Path):
    """Work in a folder; Python has it from 3.11 on."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _fresh_process(report: bool):
    """Undo what a run leaves in its process: mmengine's objects are global by name, and so are PyTorch's settings."""
    _forget(ManagerMixin)
    benchmark = torch.backends.cudnn.benchmark
    environment = dict(os.environ)
    state = random.getstate()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        # mmengine formats the config and describes the machine in every run, which takes longer than the steps, and so
        # does the report.
        with (
            nullcontext() if report else mock.patch('convnext_dense.apis.training.report_finished_run'),
            mock.patch('mmengine.config.config.FormatCode', lambda code, **style: (code, True)),
            mock.patch('mmengine.runner.runner.collect_env', dict),
        ):
            yield
    finally:
        _forget(ManagerMixin)
        torch.backends.cudnn.benchmark = benchmark
        torch.use_deterministic_algorithms(False)
        os.environ.clear()
        os.environ.update(environment)
        random.setstate(state)
        with suppress(ValueError):
            signal.signal(signal.SIGTERM, handler)


def _forget(manager: type) -> None:
    for subclass in manager.__subclasses__():
        subclass._instance_dict.clear()
        _forget(subclass)
