"""Fixtures of the benchmarks' tests."""

from typing import NamedTuple

import pytest


class Result(NamedTuple):
    """How a benchmark ended, and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def call(capsys):
    """Run a benchmark's `main` with command-line arguments, in this process."""

    def run(main, *arguments):
        status = 0
        capsys.readouterr()
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        return Result(status, *capsys.readouterr())

    return run
