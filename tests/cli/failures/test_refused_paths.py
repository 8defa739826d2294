"""Paths that the system refuses, and values that Python's own parser loses."""

import os

import pytest
from helpers.demo_runs import SEGMENTER

LONG = 'a' * 300


class TestLongNames:
    @pytest.mark.parametrize(
        'arguments',
        [
            ['flops', LONG],
            ['train', SEGMENTER, '--data', LONG],
            ['train', SEGMENTER, '--work-dir', LONG],
            ['train', SEGMENTER, '--resume', LONG],
            ['test', SEGMENTER, LONG],
            ['weights', 'inspect', 'nowhere.pth', '--config', LONG],
            ['weights', 'convert', 'nowhere.pth', LONG],
        ],
        ids=lambda arguments: ' '.join(str(argument)[-10:] for argument in arguments),
    )
    def test_end_in_one_line(self, command, arguments):
        result = command(*arguments)
        assert result.status == 2
        assert LONG in result.error

    def test_of_links_in_a_circle_end_in_one_line(self, command, tmp_path):
        os.symlink(tmp_path / 'circle', tmp_path / 'circle')
        result = command('train', SEGMENTER, '--work-dir', tmp_path / 'circle' / 'x')
        assert result.status == 2 and result.error


class TestTwoDashes:
    @pytest.mark.parametrize('flag', ['--data', '--backbone', '--epochs', '--work-dir', '--patience'])
    def test_are_no_value(self, command, flag):
        result = command('train', SEGMENTER, f'{flag}=--')
        assert result.status == 2
        assert f'argument {flag}: ' in result.error
