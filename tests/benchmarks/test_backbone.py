"""Our backbone is timed against the same backbone of other libraries."""

import functools
import json
from dataclasses import replace

import pytest
import torch

from benchmarks import backbone
from benchmarks.backbone import Variant, benchmark_backbone
from benchmarks.cases import Case
from benchmarks.peers import OURS
from convnext_dense.backbones import ConvNeXt
from convnext_dense.backbones.convnext import Arch

CASE = Case('atto', (1, 3, 64, 64), v2=True, rounds=2, warm_up=0)


@pytest.fixture(scope='module')
def passes():
    """The figures of a small backbone against timm's. Nothing is compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, 'compile', lambda model, dynamic: model)
        patch.setattr(backbone, 'measure_rates', lambda dtype, device: dict(matmul=1e12, bandwidth=1e10))
        return benchmark_backbone(CASE, ['timm'])


def medians(figures):
    return {variant['variant']: variant['median'] for variant in figures['variants']}


class TestFigures:
    def test_each_library_runs_in_each_variant(self, passes):
        for figures in passes:
            assert len(medians(figures)) == len(figures['variants']) == 2 * 2 * 2

    def test_the_ratio_is_to_the_best_peer_of_each_mode(self, passes):
        for figures in passes:
            names = [f'ours vs best {kind} peer' for kind in ('any', 'eager', 'compiled')]
            assert list(figures['ratios']) == names
            assert figures['ratios'][names[1]]['peer'].endswith('eager')
            assert all(ratio['peer'].startswith('timm') for ratio in figures['ratios'].values())
            ours = {name: median for name, median in medians(figures).items() if name.startswith(OURS)}
            assert figures['best'][OURS] == min(ours, key=ours.get)

    def test_the_memory_compared_is_that_of_the_fastest(self, passes):
        for figures in passes:
            memory = {variant['variant']: variant['memory'] for variant in figures['variants']}
            ratio = figures['ratios']['ours vs best eager peer']
            assert ratio['memory'] == memory[figures['best'][OURS]] / memory[ratio['peer']]

    def test_backward_takes_more_memory(self, passes):
        forward, both = (min(variant['memory'] for variant in figures['variants']) for figures in passes)
        assert both > forward > 0

    def test_the_limit_is_that_of_ours(self, passes):
        for figures in passes:
            limit, ours = figures['limit'], medians(figures)[figures['best'][OURS]]
            assert limit['flops'] == CASE.flops(figures['pass'])
            assert limit['of_matmul'] == pytest.approx(limit['flops'] / 1e12 / ours)
            assert limit['of_bandwidth'] == pytest.approx(CASE.fewest_bytes(figures['pass']) / 1e10 / ours)


class TestWaysOfOurs:
    def test_each_has_a_ratio_of_its_own(self):
        times = {('torch', 'eager'): 4.0, ('triton', 'eager'): 2.0, ('torch', 'compiled'): 3.0}
        seconds = {Variant(OURS, 'channels_last', mode, kernels): [time] for (kernels, mode), time in times.items()}
        seconds |= {
            Variant('timm', 'channels_last', 'eager'): [6.0],
            Variant('timm', 'channels_last', 'compiled'): [5.0],
        }
        ratios = backbone._compare_libraries(seconds, dict.fromkeys(seconds, 1))['ratios']
        assert ratios['ours, eager, kernels torch, vs best eager peer']['ratio'] == 6 / 4
        assert ratios['ours, eager, kernels triton, vs best compiled peer']['ratio'] == 5 / 2
        assert ratios['ours vs best eager peer']['ratio'] == 6 / 2


class TestChecks:
    def test_other_maps_are_refused(self):
        model, x = ConvNeXt('atto'), torch.rand(1, 3, 32, 32)
        models = {Variant(OURS, 'contiguous', 'eager'): model, Variant(OURS, 'channels_last', 'compiled'): model}
        backbone._check_maps(models, dict.fromkeys(models, x), CASE)
        with pytest.raises(RuntimeError, match='convnext_dense, channels_last, compiled: map 0 differs'):
            backbone._check_maps(models, dict(zip(models, (x, x + 0.5), strict=True)), CASE)

    @pytest.mark.full
    def test_compiled_variants_compile(self, monkeypatch):
        monkeypatch.setitem(ConvNeXt.arch_settings, 'narrow', Arch((1, 1, 1, 1), (8, 8, 8, 8)))
        monkeypatch.setattr(torch, 'compile', functools.partial(torch.compile, backend='eager'))
        monkeypatch.setattr(backbone, 'measure_rates', lambda dtype, device: dict(matmul=1e12, bandwidth=1e10))
        torch._dynamo.utils.counters.clear()
        assert len(benchmark_backbone(replace(CASE, arch='narrow'), [OURS])) == 2
        assert torch._dynamo.utils.counters['stats']['unique_graphs'] == 2 * 2


class TestMain:
    def test_saves_what_ours_ran_by(self, call, monkeypatch, tmp_path):
        asked = []
        monkeypatch.setattr(backbone, 'benchmark_backbone', lambda *options: asked.append(options) or [])
        file = tmp_path / 'figures.json'
        assert call(backbone.main, '--archs', 'atto', 'tiny', '--libraries', 'timm', '--out', file).status == 0
        cases = json.loads(file.read_text())['cases']
        assert [(case['arch'], case['kernels']) for case in cases] == [('atto', ['torch']), ('tiny', ['torch'])]
        assert [options[1:3] for options in asked] == [(['timm'], ['torch'])] * 2

    def test_takes_one_layout_mode_and_pass(self, call, monkeypatch):
        asked = []
        monkeypatch.setattr(backbone, 'benchmark_backbone', lambda *options: asked.append(options) or [])
        words = ['--layouts', 'channels_last', '--modes', 'eager', '--passes', 'forward']
        assert call(backbone.main, '--archs', 'atto', *words).status == 0
        assert asked[0][3:] == (['channels_last'], ['eager'], ['forward'])

    def test_kernels_that_cannot_run_are_one_line(self, call, monkeypatch):
        monkeypatch.delenv('TRITON_INTERPRET', raising=False)
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        result = call(backbone.main, '--kernels', 'triton')
        assert (result.status, result.err.count('\n')) == (2, 1)
        assert 'they need an NVIDIA GPU' in result.err
