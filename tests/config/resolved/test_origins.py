"""Where the values of a config come from, and how two configs differ."""

import pytest
from helpers.commands import run_command
from hypothesis import given, settings
from hypothesis import strategies as st

from convnext_dense.config.resolved.origins import WORKED_OUT, origins
from convnext_dense.config.resolved.values import differences, same_differences, values_of

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
    keys = [part.key for part in differences(first, second)]
    own, other = values_of(first), values_of(second)
    different = {key for key in own.keys() | other.keys() if own.get(key, ...) != other.get(key, ...)}
    # A part that is empty in one of the two is a value there.
    for key in different - {''}:
        assert any(not part or f'{key}.'.startswith(f'{part}.') or f'{part}.'.startswith(f'{key}.') for part in keys)
    assert bool(keys) == (first != second)


class TestDifferences:
    def test_a_replaced_part_is_one(self):
        first, second = (
            dict(model=dict(type='A', backbone=part)) for part in (dict(type='X', a=1), dict(type='Y', b=2))
        )
        assert [part.key for part in differences(first, second)] == ['model.backbone']

    def test_of_a_model_of_another_type_are_those_of_its_parts(self):
        first, second = (dict(model=dict(type=name, backbone=dict(type='X', a=1))) for name in 'AB')
        assert [part.key for part in differences(first, second)] == ['model.type']

    def test_of_a_pipeline_are_the_transforms_that_differ(self):
        first = dict(pipeline=[dict(type='Load'), dict(type='Resize'), dict(type='Pack')])
        second = dict(pipeline=[dict(type='Load'), dict(type='Flip'), dict(type='Pack')])
        (found,) = differences(first, second)
        assert (found.key, found.first, found.second) == ('pipeline', [dict(type='Resize')], [dict(type='Flip')])

    def test_of_a_pipeline_that_occurs_twice_are_said_once(self):
        first, second = (
            dict(train_pipeline=part, train_dataloader=dict(dataset=dict(pipeline=part)))
            for part in ([dict(type='Resize', scale=scale)] for scale in (1, 2))
        )
        ((keys, _),) = same_differences(differences(first, second))
        assert keys == ['train_pipeline.0.scale', 'train_dataloader.dataset.pipeline.0.scale']


class TestCommand:
    def test_shows_what_is_below_a_key(self, tmp_path):
        run = run_command(tmp_path, 'config', NAME, '--key', 'train_cfg', '--cfg-options', 'train_cfg.max_iters=7')
        assert run.status == 0, run.err
        assert 'train_cfg.max_iters = 7  # cfg_options' in run.out
        assert 'model' not in run.out

    def test_shows_what_differs(self, child, tmp_path):
        run = run_command(tmp_path, 'config', NAME, child)
        assert run.status == 0, run.err
        assert run.out == 'channels\n  - 32\n  + 4\nother\n  - (not there)\n  + dict(a=1)\n'

    def test_a_key_that_is_not_there_is_one_sentence(self, tmp_path):
        run = run_command(tmp_path, 'config', NAME, '--key', 'modell')
        assert run.status == 2
        assert 'has no modell' in run.error
