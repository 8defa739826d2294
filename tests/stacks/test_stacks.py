"""The stacks: what is installed, and the docs' page."""

import sys

import pytest

from stacks import __main__ as command
from stacks import running
from stacks.page import PAGE, page, read_results
from stacks.running import run_again, why_failed
from stacks.table import ONEDL_FILE, OPENMMLAB, STACKS, lines_of, required


def test_onedls_file_requires_what_the_package_does():
    ours = [line for line in required('options', 'install_requires') if not line.startswith(OPENMMLAB)]
    assert [line for line in lines_of(ONEDL_FILE.read_text()) if not line.startswith('onedl-')] == ours


def test_no_stack_has_packages_of_both_makers():
    for stack in STACKS:
        lines = [line for line in stack.requirements() if line.startswith(('onedl-', 'mm'))]
        assert len({line.startswith('onedl-') for line in lines}) == 1


def test_the_page_is_what_the_script_writes():
    assert PAGE.read_text() == page(read_results())


def test_a_refused_stack_says_why():
    text = page({'OneDL': {'refused': 'No module named numpy.', 'date': '2026-11-29', 'tests': 'tests/compat'}})
    assert '| OneDL | 3.11 | | | | | | refused: No module named numpy. | | | | 2026-11-29 |\n' in text


def test_a_build_that_fails_says_what_the_compiler_said():
    said = 'building\nsrc/a.h:9:2: error: #error C++20 is required\nb.cpp:1:1: error: more\nhint: see the package'
    assert why_failed(said) == 'a.h:9:2: error: #error C++20 is required'
    assert why_failed('trying\nno such package') == 'no such package'


def test_tests_that_run_again_are_counted_by_what_they_do_now(monkeypatch, tmp_path):
    monkeypatch.setattr(running, 'make_environment', lambda stack, venv: venv)
    monkeypatch.setattr(running, 'count_tests', lambda python, tests: dict(passed=1, failed=0, skipped=1))
    record = dict(passed=90, failed=3, skipped=1, tests='fast tier', date='2026-11-29')
    record = run_again(STACKS[0], tmp_path, ['tests/a.py::test_a', 'tests/b.py::test_b'], record)
    assert (record['passed'], record['failed'], record['skipped'], record['again']) == (91, 1, 2, 2)
    assert '| fast tier, 2 of them twice | 91 | 1 | 2 |' in page({STACKS[0].name: record})


@pytest.mark.parametrize('record', [{}, {'refused': 'No module named numpy.'}])
def test_nothing_runs_again_where_nothing_ran(record, monkeypatch, tmp_path, capsys):
    name = STACKS[0].name
    monkeypatch.setattr(command, 'read_results', lambda: {name: record} if record else {})
    monkeypatch.setattr(command.shutil, 'which', lambda program: f'/bin/{program}')
    monkeypatch.setattr(sys, 'argv', ['stacks', name, '--folder', str(tmp_path), '--again'])
    with pytest.raises(SystemExit, match='2'):
        command.main()
    assert f'{name} has no record of tests; run it without --again.' in capsys.readouterr().err
