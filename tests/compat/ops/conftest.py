"""What the tests of this package's operators share."""

import pytest

from convnext_dense.compat.imports.mmcv_ext import is_mmcv_compiled


@pytest.fixture(autouse=True)
def needs_the_stand_in():
    if is_mmcv_compiled():
        pytest.skip('mmcv is compiled, and has operators of its own')
