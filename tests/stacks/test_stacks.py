"""The stacks: what is installed, and the docs' page."""

from stacks.page import PAGE, page, read_results
from stacks.running import why_failed
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
