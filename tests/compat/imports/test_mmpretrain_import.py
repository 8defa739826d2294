"""mmpretrain with a transformers that it does not know."""

import importlib
import sys

import mmpretrain.models
import mmpretrain.utils.dependency as dependency
import pytest
import transformers.modeling_utils

from convnext_dense.compat.imports.mmpretrain_import import MOVED, allow_new_transformers


@pytest.mark.skipif(hasattr(transformers.modeling_utils, MOVED), reason='mmpretrain knows this transformers')
def test_mmpretrain_leaves_out_its_multi_modal_models():
    assert mmpretrain.__version__.startswith(('1.2', '1.3'))
    assert not dependency.WITH_MULTIMODAL
    assert mmpretrain.models.ConvNeXt


def test_mmpretrain_stays_whole_if_it_knows_transformers(monkeypatch, tmp_path):
    (tmp_path / 'transformers').mkdir()
    (tmp_path / 'transformers' / '__init__.py').touch()
    (tmp_path / 'transformers' / 'modeling_utils.py').write_text(f'def {MOVED}(): ...\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'transformers')
    monkeypatch.setattr(dependency, 'WITH_MULTIMODAL', True)
    importlib.invalidate_caches()
    allow_new_transformers()
    assert dependency.WITH_MULTIMODAL
