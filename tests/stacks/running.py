"""Makes the environment of a stack, and runs tests in it."""

import json
import os
import re
import subprocess
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from xml.etree import ElementTree

from stacks.table import ROOT, Stack

IMPORT = 'import convnext_dense, mmcv.ops, mmdet.apis, mmseg.apis'
VERSIONS = """
import json, platform
from convnext_dense.apis.environment import operators_of_mmcv
from importlib import import_module
names = ('torch', 'torchvision', 'numpy', 'transformers', 'mmengine', 'mmcv', 'mmdet', 'mmseg')
versions = {name: import_module(name).__version__ for name in names}
print(json.dumps({'Python': platform.python_version(), **versions, 'operators': operators_of_mmcv()}))
"""
# What OneDL's mmcv is built by, besides PyTorch and a C++ compiler.
BUILD_TOOLS = ('setuptools', 'wheel', 'packaging', 'psutil')


class _Refused(Exception):
    """Ends a stack; its text is the sentence that says why."""


def run_stack(stack: Stack, folder: Path, tests: list[str]) -> dict:
    """Make a stack's environment if it is not there, run tests in it, and return what is recorded of it.

    Args:
        stack: The stack.
        folder: Where environments are made.
        tests: What pytest takes: files, folders and options. The fast tier if empty.
    """
    places = [each for each in tests if (ROOT / each.partition('::')[0]).exists()]
    record = {'date': datetime.now(timezone.utc).date().isoformat(), 'tests': ' '.join(places) or 'fast tier'}
    try:
        python = make_environment(stack, folder / stack.folder)
        _call([str(python), '-W', 'ignore', '-c', IMPORT])
        record['versions'] = json.loads(_call([str(python), '-W', 'ignore', '-c', VERSIONS]).splitlines()[-1])
        return {**record, **count_tests(python, tests)}
    except _Refused as refused:
        return {**record, 'refused': str(refused)}


def run_again(stack: Stack, folder: Path, tests: list[str], record: dict) -> dict:
    """Run tests that failed once more, where what they found was mended, and return the record with what they do now.

    Args:
        stack: The stack.
        folder: Where environments are made.
        tests: The tests that failed, as pytest takes them.
        record: What was recorded of the stack.
    """
    counted = count_tests(make_environment(stack, folder / stack.folder), tests)
    again = sum(counted.values())
    record = {**record, 'again': record.get('again', 0) + again, 'failed': record['failed'] - again}
    return {**record, **{key: record[key] + count for key, count in counted.items()}}


def make_environment(stack: Stack, venv: Path) -> Path:
    """Return the Python of a stack, which is installed by uv if it is not there."""
    python, finished = venv / 'bin' / 'python', venv / '.finished'
    requirements = '\n'.join(stack.requirements())
    if finished.is_file() and finished.read_text() == requirements:
        return python
    _call(['uv', 'venv', '--clear', '--python', stack.python, str(venv)])
    install = ['uv', 'pip', 'install', '--python', str(python)]
    constraints = ['-c', str(ROOT / 'constraints.txt')] if stack.is_constrained else []
    if stack.is_compiled:
        _call([*install, *(line for line in stack.requirements() if not line.startswith('onedl-')), *BUILD_TOOLS])
        install += ['--no-build-isolation-package', 'onedl-mmcv']
    _call([*install, *constraints, *stack.requirements()])
    # In an editable form, so that tests read the files of this checkout.
    _call([*install, '--no-deps', '--editable', str(ROOT)])
    finished.write_text(requirements)
    return python


def count_tests(python: Path, tests: list[str]) -> dict[str, int]:
    """Run tests by a Python, and return how many passed, failed, and were skipped."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, 'report.xml')
        command = [str(python), '-m', 'pytest', '-p', 'no:cacheprovider', '--junit-xml', str(report), *tests]
        subprocess.run(command, cwd=ROOT, env={**os.environ, 'PYTHONPATH': str(ROOT)}, check=False)
        if not report.is_file():
            raise _Refused('pytest wrote no report.')
        return counts(report.read_text())


def counts(report: str) -> dict[str, int]:
    """Return how many tests of a JUnit report passed, failed, and were skipped.

    Example:
        >>> counts('<testsuites><testsuite tests="9" failures="1" errors="1" skipped="2"/></testsuites>')
        {'passed': 5, 'failed': 2, 'skipped': 2}
    """
    suite = ElementTree.fromstring(report).find('testsuite').attrib
    failed, skipped = int(suite['failures']) + int(suite['errors']), int(suite['skipped'])
    return {'passed': int(suite['tests']) - failed - skipped, 'failed': failed, 'skipped': skipped}


def _call(command: list[str]) -> str:
    """Run a command and return its output; if it fails, what it says is why the stack is refused."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise _Refused(why_failed(done.stderr.strip() or done.stdout.strip() or f'{command[0]} failed.'))
    return done.stdout


def why_failed(said: str) -> str:
    """Return the line of a failed command that says why: a compiler's first error, or the last line.

    Example:
        >>> why_failed('a.h:9:2: error: #error C++20 is required\\nninja: build stopped\\nhint: a package fails')
        'a.h:9:2: error: #error C++20 is required'
    """
    lines = [line.strip() for line in said.splitlines()]
    # Paths are of the machine.
    errors = [line.rpartition('/')[2] for line in lines if re.search(r':\d+: error: ', line)]
    return errors[0] if errors else lines[-1]
