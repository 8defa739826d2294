"""The launcher says which of its processes failed, and why."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.demo_runs import ROOT

pytestmark = pytest.mark.e2e

# The process of rank 1 fails; the other one waits, as in a collective operation.
START = """
import os, sys, time
from convnext_dense.cli import main as command
from convnext_dense.errors import UsageError

def run(args):
    if os.environ['RANK'] == '0' and not {both}:
        time.sleep(60)
    {failure}

command.env.run = run
command.main(['env'])
"""


def fail(tmp_path: Path, failure: str, both: bool = False) -> subprocess.CompletedProcess:
    """Start two processes, of which one fails by a line of code."""
    script = tmp_path / 'script.py'
    script.write_text(START.format(failure=failure, both=both))
    return subprocess.run(
        [sys.executable, '-m', 'convnext_dense.apis.launching.torchrun', '--standalone', '--nproc_per_node=2', script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def own_lines(result: subprocess.CompletedProcess) -> list[str]:
    """Return what was printed, without PyTorch's log."""
    return [line for line in result.stderr.splitlines() if not line.startswith(('W', 'E', 'I', '*', 'Setting'))]


def test_a_mistake_of_all_processes_is_one_sentence(tmp_path):
    result = fail(tmp_path, "raise UsageError('work_dir: it is a file.')", both=True)
    assert result.returncode == 2
    sentences = [line for line in own_lines(result) if line.startswith('error: ')]
    assert len(sentences) == 1
    assert sentences[0].endswith(': work_dir: it is a file.')
    assert 'Traceback' not in result.stderr


def test_a_process_that_is_killed_is_named(tmp_path):
    result = fail(tmp_path, 'os.kill(os.getpid(), 9)')
    assert result.returncode == 128 + 9
    (line,) = [line for line in own_lines(result) if line.startswith('error: ')]
    assert line.startswith('error: rank 1 (process ')
    assert line.endswith(': killed by SIGKILL')


def test_a_process_that_raises_is_named_with_its_traceback(tmp_path):
    result = fail(tmp_path, "raise ZeroDivisionError('of the second')")
    assert result.returncode == 1
    lines = own_lines(result)
    start = next(i for i, line in enumerate(lines) if line.startswith('error: rank 1 (process '))
    assert lines[start].endswith(': ZeroDivisionError: of the second')
    assert lines[start + 1].startswith('Traceback')
    assert result.stderr.count("raise ZeroDivisionError('of the second')") == 1
