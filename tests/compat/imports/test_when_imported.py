"""Actions that wait for a module to be imported."""

import importlib
import importlib.resources
import sys
from unittest import mock

import pytest

from convnext_dense.compat import when_imported

NAME = 'a_module_of_this_test'


@pytest.fixture
def action():
    return mock.Mock()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The folder of a package that is not imported yet; afterwards the import system is as before."""
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / '__init__.py').write_text('VALUE = 1\n')
    (folder / 'data.txt').write_text('content')
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield folder
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.partition('.')[0] == NAME]:
        del sys.modules[name]


class TestWhenImported:
    def test_acts_at_once_if_imported_already(self, action):
        finders = list(sys.meta_path)
        when_imported('json', action)
        action.assert_called_once_with()
        assert sys.meta_path == finders

    def test_acts_after_the_import_and_only_once(self, module, action):
        action.side_effect = lambda: sys.modules[NAME].VALUE
        when_imported(NAME, action)
        action.assert_not_called()
        imported = importlib.import_module(NAME)
        action.assert_called_once_with()
        importlib.reload(imported)
        action.assert_called_once_with()

    def test_does_not_act_for_other_modules(self, module, action):
        (module / 'other.py').touch()
        when_imported(f'{NAME}.absent', action)
        importlib.import_module(f'{NAME}.other')
        action.assert_not_called()

    def test_acts_for_a_submodule(self, module, action):
        (module / 'part.py').touch()
        when_imported(f'{NAME}.part', action)
        importlib.import_module(NAME)
        action.assert_not_called()
        importlib.import_module(f'{NAME}.part')
        action.assert_called_once_with()

    def test_acts_once_per_registration(self, module, action):
        for _ in range(2):
            when_imported(NAME, action)
        importlib.import_module(NAME)
        assert action.call_count == 2

    def test_acts_after_others_have_asked_for_the_module(self, module, action):
        when_imported(NAME, action)
        assert importlib.util.find_spec(NAME)
        action.assert_not_called()
        importlib.import_module(NAME)
        action.assert_called_once_with()

    def test_acts_once_a_failed_import_has_succeeded(self, module, action):
        source = (module / '__init__.py').read_text()
        (module / '__init__.py').write_text('raise ImportError\n')
        when_imported(NAME, action)
        with pytest.raises(ImportError):
            importlib.import_module(NAME)
        (module / '__init__.py').write_text(f'{source}SECOND = True\n')
        importlib.invalidate_caches()
        importlib.import_module(NAME)
        action.assert_called_once_with()

    def test_an_error_of_the_action_fails_the_import(self, module, action):
        action.side_effect = ZeroDivisionError
        when_imported(NAME, action)
        with pytest.raises(ZeroDivisionError):
            importlib.import_module(NAME)

    def test_the_module_keeps_its_own_loader(self, module, action):
        own = type(importlib.util.find_spec(NAME).loader)
        for _ in range(2):
            when_imported(NAME, action)
        imported = importlib.import_module(NAME)
        assert type(imported.__loader__) is own
        assert imported.__spec__.loader is imported.__loader__

    def test_package_resources_are_readable(self, module, action):
        def read():
            return importlib.resources.files(NAME).joinpath('data.txt').read_text()

        action.side_effect = read
        when_imported(NAME, action)
        importlib.import_module(NAME)
        action.assert_called_once_with()
        assert read() == 'content'

    def test_an_absent_module_stays_absent_and_the_action_pending(self, module, action, tmp_path):
        name = f'{NAME}_2'
        when_imported(name, action)
        for _ in range(2):
            with pytest.raises(ModuleNotFoundError, match=name):
                importlib.import_module(name)
        action.assert_not_called()
        (tmp_path / f'{name}.py').touch()
        importlib.invalidate_caches()
        importlib.import_module(name)
        del sys.modules[name]
        action.assert_called_once_with()
