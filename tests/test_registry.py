"""What the package registers, and what importing it imports."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import convnext_dense
from convnext_dense import registry
from convnext_dense.registry import LazyRegistry

REGISTRIES = {name: value for name, value in vars(registry).items() if isinstance(value, LazyRegistry)}
# mmcv's stand-in is loaded under another name, `__main__` runs the command, and Triton may be absent.
NOT_IMPORTED = ('ext', '__main__', 'triton_kernels')


@pytest.fixture(scope='module')
def all_modules():
    """Import every module of the package."""
    for module in pkgutil.walk_packages(convnext_dense.__path__, 'convnext_dense.'):
        if module.name.split('.')[-1] not in NOT_IMPORTED:
            importlib.import_module(module.name)


@pytest.mark.usefixtures('all_modules')
@pytest.mark.parametrize('name', REGISTRIES)
class TestTables:
    def test_name_every_registered_class_and_its_module(self, name):
        registered = {key: value.__module__ for key, value in REGISTRIES[name].module_dict.items()}
        ours = {key: module for key, module in registered.items() if module.startswith('convnext_dense.')}
        assert ours == REGISTRIES[name].modules

    def test_resolve_every_name_with_and_without_scope(self, name):
        for key in REGISTRIES[name].modules:
            assert REGISTRIES[name].get(key) is REGISTRIES[name].get(f'convnext_dense.{key}') is not None


@pytest.mark.e2e
class TestImports:
    """In a new process, because everything is imported in this one."""

    @pytest.mark.parametrize(
        ('module', 'heavy'),
        [
            ('convnext_dense', ('torch', 'mmengine', 'mmcv', 'numpy')),
            ('convnext_dense.compat', ('torch', 'mmengine', 'mmcv', 'numpy')),
            ('convnext_dense.backbones', ('timm', 'torchvision')),
            ('convnext_dense.weights', ('timm', 'torchvision')),
        ],
    )
    def test_are_light(self, module, heavy):
        code = f'import sys, {module}; sys.exit(", ".join(sorted(set({heavy!r}) & sys.modules.keys())) or 0)'
        result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
        assert result.returncode == 0, f'{module} imports {result.stderr}'
