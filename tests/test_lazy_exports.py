"""Rooms that export names without importing their files."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import convnext_dense

ROOMS = ('apis', 'backbones', 'config', 'evaluation', 'reports')


class TestRooms:
    @pytest.mark.parametrize('room', ROOMS)
    def test_every_export_is_there(self, room):
        module = import_module(f'convnext_dense.{room}')
        assert all(getattr(module, name).__name__ == name for name in module.__all__)

    @pytest.mark.parametrize('room', ROOMS)
    def test_no_file_hides_an_export(self, room):
        module = import_module(f'convnext_dense.{room}')
        files = {file.stem for file in Path(module.__file__).parent.glob('*.py')}
        assert not files & set(module.__all__)

    def test_other_names_are_an_attribute_error(self):
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            _ = convnext_dense.config.nothing

    @pytest.mark.e2e
    def test_a_room_needs_no_import_of_its_own(self):
        code = 'import convnext_dense; print(convnext_dense.backbones.ConvNeXt.__name__)'
        assert subprocess.check_output([sys.executable, '-c', code], text=True) == 'ConvNeXt\n'

    @pytest.mark.e2e
    def test_the_package_imports_its_exports_when_they_are_used(self):
        code = (
            'import sys, convnext_dense; heavy = {"torch", "mmengine", "timm"}; print(heavy & sys.modules.keys()); '
            'from convnext_dense import ConvNeXt; print(ConvNeXt.__name__)'
        )
        assert subprocess.check_output([sys.executable, '-c', code], text=True) == 'set()\nConvNeXt\n'
