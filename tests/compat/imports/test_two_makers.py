"""Official and OneDL's packages in one environment."""

import warnings

import pytest

from convnext_dense.compat.imports.two_makers import warn_of_two_makers


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Make packages of these names, and of no others, installed."""

    def install_only(*names):
        for name in names:
            folder = tmp_path / f'{name.replace("-", "_")}-1.0.dist-info'
            folder.mkdir()
            (folder / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n')
        monkeypatch.setattr('sys.path', [str(tmp_path)])

    return install_only


def test_both_are_named(install):
    install('onedl-mmcv', 'mmcv-lite', 'mmdet')
    with pytest.warns(UserWarning, match='^mmcv-lite and onedl-mmcv have overwritten files of each other'):
        warn_of_two_makers()


@pytest.mark.parametrize('names', [('mmengine', 'mmcv-lite', 'mmdet'), ('onedl-mmengine', 'onedl-mmcv')])
def test_one_maker_is_fine(install, names):
    install(*names)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        warn_of_two_makers()
