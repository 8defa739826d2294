"""A curve in one line of text."""

import numpy as np
import pytest

from convnext_dense.hooks.panel.sparkline import BLOCKS, sparkline


class TestSparkline:
    @pytest.mark.parametrize('count', [1, 7, 40, 41, 1000])
    def test_has_a_character_for_as_many_values_as_fit(self, count):
        assert len(sparkline(np.arange(count), 40)) == min(count, 40)

    def test_rises_and_falls_with_the_values(self):
        values = np.sin(np.linspace(0, np.pi, 500))
        heights = [BLOCKS.index(character) for character in sparkline(values, 20)]
        assert heights[:10] == sorted(heights[:10])
        assert heights[10:] == sorted(heights[10:], reverse=True)
        assert (min(heights), max(heights)) == (0, len(BLOCKS) - 1)

    def test_a_spike_does_not_flatten_the_others(self):
        line = sparkline([1e6, *np.linspace(2, 1, 39)], 40)
        assert len(set(line)) == len(BLOCKS)

    def test_leaves_out_what_is_not_finite(self):
        assert sparkline([1, float('inf'), 2, float('nan')], 4) == f'{BLOCKS[0]} {BLOCKS[-1]} '
        assert sparkline([float('nan')] * 3, 4) == '   '

    def test_of_nothing_is_empty(self):
        assert sparkline([], 10) == sparkline([1, 2], 0) == ''
