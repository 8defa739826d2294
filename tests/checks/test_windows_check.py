"""Settings of a segmenter's test that its first image would end on, or that do nothing."""

import copy
import functools

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER

from convnext_dense.checks import RunPlan
from convnext_dense.checks.windows import window_findings
from convnext_dense.config import load_config

SLIDES = dict(mode='slide', crop_size=(64, 64), stride=[32, 32])


@functools.cache
def load(config):
    return load_config(str(config))


def find(config, **test_cfg):
    cfg = copy.deepcopy(load(config))
    cfg.model.test_cfg = test_cfg
    return list(window_findings(RunPlan(cfg, ('test',))))


@pytest.mark.parametrize('value', [0, -1, 'two', 1.5, True, None, [1, 2], ''])
@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_a_number_of_windows_is_whole_and_positive(mode, value):
    settings = SLIDES if mode == 'slide' else dict(mode=mode)
    (finding,) = find(SEGMENTER, **settings, windows_per_batch=value)
    assert finding.is_error
    assert finding.sentence.endswith(f'windows_per_batch: it is a whole number of at least 1; got {value!r}.')


@pytest.mark.parametrize('key', ['crop_size', 'stride'])
@pytest.mark.parametrize('value', [(0, 0), -1, 64, (64,), ('a', 64), None])
def test_windows_have_sides(key, value):
    (finding,) = find(SEGMENTER, **{**SLIDES, key: value})
    assert finding.is_error
    assert f'{key}: a height and a width in pixels of at least 1 are needed' in finding.sentence


@pytest.mark.parametrize('value', ['maybe', 1, None])
def test_labels_are_found_first_or_not(value):
    (finding,) = find(SEGMENTER, mode='whole', argmax_first=value)
    assert finding.is_error and finding.sentence.endswith(f'it is True or False; got {value!r}.')


def test_windows_together_without_windows_are_odd():
    (finding,) = find(SEGMENTER, mode='whole', windows_per_batch=4)
    assert not finding.is_error


def test_what_is_right_is_left_alone():
    assert not find(SEGMENTER, **SLIDES, windows_per_batch=2, argmax_first=True)
    assert not find(SEGMENTER, mode='whole')
    assert not find(DETECTOR, windows_per_batch='two')
