"""Configs of other packages, found without parsing metafiles."""

import sys
from unittest import mock

import mmengine.config.config
import mmengine.config.utils
import pytest
from mmengine.config import Config

from convnext_dense.compat.configs.package_configs import find_package_configs_directly, package_config

BASE = 'mmdet::_base_/datasets/coco_detection.py'


@pytest.fixture
def inheriting(tmp_path):
    """Write a config that inherits another one, and return its path."""

    def write(base):
        (tmp_path / 'config.py').write_text(f"_base_ = ['{base}']\n")
        return tmp_path / 'config.py'

    return write


class TestInheritance:
    def test_parses_no_metafiles_and_no_pkg_resources(self, inheriting):
        slow = mock.Mock(side_effect=AssertionError('mmengine looks through the package'))
        names = ('is_installed', 'get_installed_path', '_get_external_cfg_path')
        with (
            mock.patch.multiple(mmengine.config.config, **dict.fromkeys(names, slow)),
            mock.patch.object(mmengine.config.utils, 'load', slow),
            mock.patch.dict(sys.modules, pkg_resources=None),
        ):
            cfg = Config.fromfile(inheriting(BASE))
        assert cfg.dataset_type == 'CocoDataset'

    def test_an_unknown_name_is_mmengines_own_error(self, inheriting):
        with pytest.raises(Exception, match='no_such_config') as error:
            Config.fromfile(inheriting('mmdet::_base_/no_such_config.py'))
        assert any('mmengine' in str(entry.path) for entry in error.traceback)

    def test_is_patched_once(self):
        before = Config._get_cfg_path
        find_package_configs_directly()
        assert Config._get_cfg_path is before


class TestPackageConfig:
    def test_finds_a_packages_own_file(self):
        assert package_config(BASE).parts[-3:] == ('_base_', 'datasets', 'coco_detection.py')

    @pytest.mark.parametrize('name', ['mmdet::absent.py', 'no_such_package::x.py', './x.py', 'not a name::x.py'])
    def test_is_none_for_what_does_not_exist(self, name):
        assert package_config(name) is None
