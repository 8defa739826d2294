"""`convnext-dense flops`."""

import pytest
from helpers.demo_runs import DETECTOR

from convnext_dense.config import load_config
from convnext_dense.reports.complexity import complexity_table


class TestFlops:
    def test_it_prints_the_table(self, command):
        arch = 'model.backbone.arch.depths=[1,1,1,1]'
        result = command('flops', DETECTOR, '--shape', 64, 128, '--cfg-options', arch)
        assert result.status == 0
        cfg = load_config(str(DETECTOR), cfg_options={'model.backbone.arch.depths': [1, 1, 1, 1]})
        assert complexity_table(cfg, (64, 128)) in result.out

    @pytest.mark.parametrize(
        ('arguments', 'says'),
        [
            ([DETECTOR, '--shape', 64, -1], "--shape: it must be a whole number of at least 1; got '-1'"),
            ([DETECTOR, '--cfg-options', 'model.backbone.arch=tinny'], "got 'tinny'"),
        ],
    )
    def test_a_mistake_is_one_line_and_status_2(self, command, arguments, says):
        result = command('flops', *arguments)
        assert result.status == 2
        assert says in result.error
