"""What the README and the docs promise: commands parse, configs load, links lead somewhere, and the words are ours."""

import argparse
import ast
import inspect
import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import pytest

from convnext_dense.cli.main import build_parser
from convnext_dense.config import load_config
from convnext_dense.version import __version__

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted((ROOT / 'docs').rglob('*.md'))
PAGES = [*sorted(ROOT.glob('*.md')), *sorted((ROOT / 'configs').glob('*/README.md')), *DOCS]
README_LINES = 130
FENCE = re.compile(r'^```(\w*)\n(.*?)^```$', re.DOTALL | re.MULTILINE)
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
RETIRED = re.compile(r'\b(anew|beside|told|but for|listed|gone|theirs)\b', re.IGNORECASE)


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page, language):
    """The fenced blocks of a page in a language."""
    return [code for fence, code in FENCE.findall(page.read_text()) if fence == language]


def prose(page):
    """A page without its code."""
    return re.sub(r'`[^`]*`', '', FENCE.sub('', page.read_text()))


def command_lines():
    """Every command line of the docs that a parser of this repository reads, as its page and its words."""
    for page in PAGES:
        for block in blocks(page, 'bash'):
            for line in block.replace('\\\n', ' ').splitlines():
                words = shlex.split(line, comments=True)
                words = words[: words.index('>')] if '>' in words else words
                if words[:1] == ['convnext-dense']:
                    yield page, ['convnext_dense', *words[1:]]
                elif words[:2] == ['python', 'tools/stress.py']:
                    yield page, ['benchmarks.stress.command', *words[2:]]
                elif '-m' in words and words[words.index('-m') + 1].startswith(('convnext_dense', 'benchmarks')):
                    yield page, words[words.index('-m') + 1 :]


LINES = list(command_lines())
CONFIGS = [(page, code) for page in PAGES for code in blocks(page, 'python') if code.startswith('_base_')]


class _ParsedError(Exception):
    """Ends a program once its arguments are parsed."""


def parse_only(module, arguments):
    """Run a benchmark until it has parsed its arguments."""
    parse_args = argparse.ArgumentParser.parse_args

    def parse(parser, args=None, namespace=None):
        parse_args(parser, args, namespace)
        raise _ParsedError

    with (
        mock.patch.object(argparse.ArgumentParser, 'parse_args', parse),
        mock.patch.object(sys, 'argv', [module, *arguments]),
        pytest.raises(_ParsedError),
    ):
        import_module(module).main()


class TestReadme:
    def test_is_short(self):
        assert len((ROOT / 'README.md').read_text().splitlines()) <= README_LINES

    def test_its_images_are_small(self):
        images = re.findall(r'!\[[^\]]*\]\((docs/[^)]+)\)', (ROOT / 'README.md').read_text())
        assert images
        assert {image: (ROOT / image).stat().st_size < 300_000 for image in images} == dict.fromkeys(images, True)


class TestCommands:
    @pytest.mark.parametrize(
        ('page', 'words'), LINES, ids=[f'{name(page)}: {" ".join(words)}' for page, words in LINES]
    )
    def test_parse(self, page, words):
        module, *arguments = words
        if module == 'convnext_dense':
            build_parser().parse_args(arguments)
        else:
            parse_only(module, arguments)

    @pytest.mark.parametrize('page', [page for page in PAGES if page.name != 'CHANGELOG.md'], ids=name)
    def test_scripts_are_there(self, page):
        scripts = set(re.findall(r'(?<![\w/])(?:tools|configs)/[\w./-]+\.(?:sh|py)\b', page.read_text()))
        assert [path for path in scripts if not (ROOT / path).is_file()] == []

    def test_benchmarks_are_there(self):
        modules = {module for page in PAGES for module in re.findall(r'-m (benchmarks[\w.]*\w)', page.read_text())}
        assert modules
        assert [module for module in modules if not find_spec(module)] == []

    def test_have_all_their_options_on_the_page(self):
        page = (ROOT / 'docs' / 'reference' / 'cli.md').read_text()
        sections = dict(re.findall(r'^## (\w+)\n(.*?)(?=^## |\Z)', page, re.DOTALL | re.MULTILINE))
        missing = {
            command: [option for option in options if option not in sections[command]]
            for command, options in options_of(build_parser()).items()
        }
        assert {command: options for command, options in missing.items() if options} == {}
        assert options_of(build_parser()).keys() == sections.keys()


def options_of(parser):
    """The long options of each command, its own commands' included."""
    (commands,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {command: list(_long_options(subparser)) for command, subparser in commands.choices.items()}


def _long_options(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                yield from _long_options(subparser)
        yield from (option for option in action.option_strings if option.startswith('--') and option != '--help')


class TestPages:
    @pytest.mark.parametrize('page', PAGES, ids=name)
    def test_links_lead_somewhere(self, page):
        links = [link.partition('#')[0] for link in LINK.findall(FENCE.sub('', page.read_text())) if '://' not in link]
        assert [link for link in links if not (page.parent / link).exists()] == []

    @pytest.mark.parametrize(('page', 'code'), CONFIGS, ids=[name(page) for page, _ in CONFIGS])
    def test_configs_load(self, page, code, tmp_path):
        (tmp_path / 'my_config.py').write_text(code)
        assert load_config(str(tmp_path / 'my_config.py')).model.backbone.type == 'convnext_dense.ConvNeXt'

    @pytest.mark.parametrize('page', PAGES, ids=name)
    def test_python_is_python(self, page):
        for code in blocks(page, 'python'):
            ast.parse(code)

    def test_no_retired_words(self):
        # The page on style quotes them.
        pages = [page for page in PAGES if page.name != 'style.md']
        found = {name(page): RETIRED.findall(prose(page)) for page in pages}
        assert {page: words for page, words in found.items() if words} == {}

    def test_the_version_is_the_packages(self):
        assert f'\nversion: {__version__}\n' in (ROOT / 'CITATION.cff').read_text()
        assert f'\n## [{__version__}]' in (ROOT / 'CHANGELOG.md').read_text()


def docstrings():
    """The docstrings of the package, each with its place."""
    for file in sorted((ROOT / 'convnext_dense').rglob('*.py')):
        for node in ast.walk(ast.parse(file.read_text())):
            has_docstring = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            if has_docstring and (text := ast.get_docstring(node)):
                yield f'{name(file)}: {getattr(node, "name", "module")}', text


class TestDocstrings:
    def test_no_retired_words(self):
        found = {place: RETIRED.findall(re.sub(r'`[^`]*`', '', text)) for place, text in docstrings()}
        assert {place: words for place, words in found.items() if words} == {}

    def test_begin_with_what_happens(self):
        assert [place for place, text in docstrings() if text.startswith(('Have ', 'Let '))] == []


@pytest.mark.e2e
class TestSite:
    @pytest.fixture(scope='class')
    def site(self, tmp_path_factory):
        pytest.importorskip('mkdocs')
        folder = tmp_path_factory.mktemp('site')
        command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return folder

    def test_fetches_nothing(self, site):
        page = (site / 'index.html').read_text()
        assert re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="https?://[^"]*"', page) == []

    def test_the_reference_has_every_export(self, site):
        missing = []
        for room in sorted((ROOT / 'docs' / 'reference').glob('*.md')):
            if room.stem in ('index', 'cli'):
                continue
            page = (site / 'reference' / room.stem / 'index.html').read_text()
            for module in re.findall(r'^::: (\S+)$', room.read_text(), re.MULTILINE):
                if not (ROOT / module.replace('.', '/')).is_dir():
                    continue
                room_module = import_module(module)
                for export in vars(room_module).get('__all__', ()):
                    value = getattr(room_module, export)
                    is_object = inspect.isclass(value) or inspect.isfunction(value)
                    if is_object and not re.search(rf'id="[\w.]+\.{export}"', page):
                        missing.append(f'{module}.{export}')
        assert missing == []
