"""Each switch is compared alone."""

import json

import pytest

from benchmarks.training import switches
from convnext_dense.config.speed.switches import SWITCHES


@pytest.fixture
def compared(monkeypatch):
    """What was compared: the switches, and the kernels of the backbone."""
    seen = []

    def benchmark(cfg, names, rounds, **options):
        seen.append((names, cfg.model.backbone.get('kernels', 'torch')))
        return dict(config='x', switches=names)

    monkeypatch.setattr(switches, 'benchmark_training', benchmark)
    monkeypatch.setattr(switches, 'table', lambda figures: figures['switch'])
    return seen


class TestMain:
    def test_compares_each_switch_and_the_kernels(self, call, compared, tmp_path):
        file = tmp_path / 'figures.json'
        words = ['upernet_convnext-demo_demo-ade20k', '--switches', 'none', 'bf16', 'kernels', '--out', file]
        assert call(switches.main, *words).status == 0
        assert compared == [([], 'torch'), (['bf16'], 'torch'), ([], 'triton')]
        assert [case['switch'] for case in json.loads(file.read_text())['cases']] == ['none', 'bf16', 'kernels']

    def test_cuda_graphs_are_the_backbones(self, call, monkeypatch):
        seen = []
        monkeypatch.setattr(switches, 'table', lambda figures: figures['switch'])
        monkeypatch.setattr(
            switches, 'benchmark_training', lambda cfg, *_, **__: seen.append(cfg.custom_hooks[-1]) or {}
        )
        assert call(switches.main, 'upernet_convnext-demo_demo-ade20k', '--switches', 'cuda_graphs').status == 0
        assert (seen[-1].modules, seen[-1].mode) == (['backbone'], 'reduce-overhead')

    def test_by_default_all_that_act_in_a_step_of_one_gpu(self):
        assert set(switches.ONE_BY_ONE) == {*SWITCHES, 'none', 'kernels', 'cuda_graphs'} - {'ddp', 'data'}
