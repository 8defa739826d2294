"""A config's text is laid out fast, and says the same."""

import string

import pytest
from helpers.zoo import config, names
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from convnext_dense.compat.configs.config_text import WIDTH, lay_out

keys = st.text(string.ascii_lowercase + '_', min_size=1, max_size=40).map('k{}'.format)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(keys | st.text(), inner),
    max_leaves=30,
)


@settings(deadline=None)
@given(st.dictionaries(keys, values))
def test_any_values_stay_the_same(fields):
    written: dict = {}
    exec(lay_out('\n'.join(f'{name} = {value!r}' for name, value in fields.items()))[0], {}, written)
    assert written == fields


@pytest.mark.parametrize('name', names()[::20])
def test_configs_of_the_zoo_read_back_the_same_from_short_lines(name):
    text = config(name).pretty_text
    assert Config.fromstring(text, '.py').to_dict() == config(name).to_dict()
    # What is longer is one string.
    assert [line for line in text.splitlines() if len(line) > WIDTH and line.count("'") > 2] == []


def test_its_form():
    backbone = "dict(type='convnext_dense.ConvNeXt', arch='tiny', out_indices=[0, 1, 2, 3])"
    assert lay_out(f"model=dict(type='MaskRCNN', backbone={backbone})")[0] == (
        "model = dict(\n    type='MaskRCNN',\n"
        "    backbone=dict(type='convnext_dense.ConvNeXt', arch='tiny', out_indices=[0, 1, 2, 3]),\n)\n"
    )


def test_a_text_that_is_no_python_is_an_error():
    with pytest.raises(SyntaxError):
        lay_out('model = dict(')
