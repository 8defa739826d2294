"""Where the values of a config come from, and how two configs differ."""

import pytest
from helpers.commands import run_command
from hypothesis import given, settings
from hypothesis import strategies as st

from convnext_dense.config.resolved.origins import WORKED_OUT, origins
from convnext_dense.config.resolved.values import differences, values_of

NAME = 'upernet_convnext-demo_demo-ade20k'
CONFIGS = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda parts: st.dictionaries(st.sampled_from('abc'), parts, max_size=3) | st.lists(parts, max_size=2),
    max_leaves=8,
)


@pytest.fixture
def child(tmp_path):
    (tmp_path / 'base.py').write_text(f"_base_ = ['convnext_dense::demo/{NAME}.py']\nchannels = 3\nother = dict(a=1)\n")
    (tmp_path / 'child.py').write_text("_base_ = ['base.py']\nchannels = 4\n")
    return str(tmp_path / 'child.py')


def test_what_a_base_imports_need_not_be_installed(child, tmp_path):
    with (tmp_path / 'base.py').open('a') as file:
        file.write("custom_imports = dict(imports=['no_such_package'], allow_failed_imports=False)\n")
    with (tmp_path / 'child.py').open('a') as file:
        file.write("custom_imports = dict(imports=['convnext_dense'], allow_failed_imports=False)\n")
    assert origins(child)[1]['channels'].endswith('child.py')


def test_a_value_is_of_the_last_file_that_sets_it(child):
    _, found = origins(child)
    assert found['channels'].endswith('child.py')
    assert found['other.a'].endswith('base.py')
    assert found['model.type'].endswith('.py')
    assert found['work_dir'] == WORKED_OUT


def test_a_value_is_of_the_argument_that_changes_it():
    cfg, found = origins(NAME, {'train_cfg.max_iters': 7}, backbone='timm/resnet18')
    assert cfg.train_cfg.max_iters == 7
    assert found['train_cfg.max_iters'] == 'cfg_options'
    assert found['model.backbone.type'] == 'backbone'
    assert found['train_cfg.val_interval'].endswith('.py')


@settings(max_examples=50, deadline=None)
@given(CONFIGS, CONFIGS)
def test_two_configs_differ_where_their_values_do(first, second):
    keys = {part.key for part in differences(first, second)}
    own, other = values_of(first), values_of(second)
    assert keys == {key for key in own.keys() | other.keys() if own.get(key, ...) != other.get(key, ...)}
    assert not differences(first, first)


class TestCommand:
    def test_shows_what_is_below_a_key(self, tmp_path):
        run = run_command(tmp_path, 'config', NAME, '--key', 'train_cfg', '--cfg-options', 'train_cfg.max_iters=7')
        assert run.status == 0, run.err
        assert 'train_cfg.max_iters = 7  # cfg_options' in run.out
        assert 'model' not in run.out

    def test_shows_what_differs(self, child, tmp_path):
        run = run_command(tmp_path, 'config', NAME, child)
        assert run.status == 0, run.err
        assert run.out == 'channels\n  - 32\n  + 4\nother.a\n  - (not there)\n  + 1\n'

    def test_a_key_that_is_not_there_is_one_sentence(self, tmp_path):
        run = run_command(tmp_path, 'config', NAME, '--key', 'modell')
        assert run.status == 2
        assert 'has no modell' in run.error
