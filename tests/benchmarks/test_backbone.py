"""The backbone is compared with the same backbone of other libraries."""

import functools
import json
import runpy
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from benchmarks.limits import fewest_bytes
from torch import nn

from benchmarks import backbone, peers
from benchmarks.backbone import Setting, benchmark_backbone, check_settings, count_flops, format_works
from benchmarks.peers import OURS, build_contenders
from convnext_dense.backbones import ConvNeXt
from convnext_dense.backbones.convnext import Arch
from convnext_dense.errors import UsageError

CPU = torch.device('cpu')
TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'benchmark_backbone.py'


class TestContenders:
    @pytest.mark.parametrize(
        ('v2', 'libraries'),
        [
            (False, ['timm', 'torchvision', 'mmpretrain', 'transformers']),
            (True, ['timm', 'mmpretrain', 'transformers']),
        ],
    )
    def test_all_that_are_installed_have_the_same_parameters_and_maps(self, v2, libraries):
        contenders = build_contenders('tiny', v2)
        assert list(contenders) == [OURS, *libraries]
        assert len({sum(p.numel() for p in model.parameters()) for model in contenders.values()}) == 1
        shapes = {tuple(tuple(each.shape) for each in model(torch.rand(1, 3, 64, 64))) for model in contenders.values()}
        assert shapes == {((1, 96, 16, 16), (1, 192, 8, 8), (1, 384, 4, 4), (1, 768, 2, 2))}

    def test_one_that_computes_something_else_is_refused(self, monkeypatch):
        def with_another_activation(arch, v2):
            model = peers._timm(arch, v2)
            for block in model.trunk.stages[2].blocks:
                block.mlp.act = nn.ReLU()
            return model

        monkeypatch.setitem(peers.BUILDERS, 'timm', with_another_activation)
        with pytest.raises(RuntimeError, match='timm computes other maps'):
            build_contenders('atto', True, ['timm'])

    @pytest.mark.parametrize(
        ('arch', 'libraries', 'message'),
        [
            ('atto', ['torchvision'], 'torchvision has no ConvNeXt atto'),
            ('tiny', ['open_clip'], 'open_clip is none of'),
        ],
    )
    def test_a_library_without_it_is_named(self, arch, libraries, message):
        with pytest.raises(UsageError, match=message):
            build_contenders(arch, False, libraries)

    def test_a_library_that_is_not_installed_is_left_out_unless_asked_for(self, monkeypatch):
        monkeypatch.setattr(peers.importlib.util, 'find_spec', lambda name: name in (OURS, 'timm') or None)
        assert list(build_contenders('atto', True)) == [OURS, 'timm']
        with pytest.raises(UsageError, match='mmpretrain is not installed'):
            build_contenders('atto', True, ['mmpretrain'])


@pytest.fixture(scope='module')
def works():
    """The figures of a small backbone against timm's; compiled without generating code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, 'compile', functools.partial(torch.compile, backend='eager'))
        patch.setattr(backbone, 'measure_matmul_rate', lambda dtype, device: 1e12)
        patch.setattr(backbone, 'measure_bandwidth', lambda device: 1e10)
        return benchmark_backbone('atto', (1, 3, 64, 64), torch.float32, CPU, True, ['timm'], rounds=2, warm_up=1)


def name_of(setting):
    return f'{setting["library"]}, {setting["layout"]}, {setting["mode"]}'


class TestFigures:
    def test_each_library_runs_in_each_setting(self, works):
        for work in works:
            settings = {(each['library'], each['layout'], each['mode']) for each in work['settings']}
            assert len(settings) == len(work['settings']) == 2 * 2 * 2

    def test_the_ratio_is_to_the_best_peer_of_each_kind(self, works):
        for work in works:
            assert work['ratios'].keys() == {'any', 'eager', 'compiled'}
            assert work['ratios']['eager']['peer'].endswith('eager')
            assert all(each['peer'].startswith('timm') for each in work['ratios'].values())
            medians = {name_of(each): each['median'] for each in work['settings']}
            assert work['best'][OURS] == min((name for name in medians if name.startswith(OURS)), key=medians.get)

    def test_the_memory_compared_is_that_of_the_fastest_settings(self, works):
        for work in works:
            memory = {name_of(each): each['memory'] for each in work['settings']}
            eager = work['ratios']['eager']
            assert eager['memory'] == memory[work['best'][OURS]] / memory[eager['peer']]

    def test_backward_takes_more_memory(self, works):
        forward, both = (min(each['memory'] for each in work['settings']) for work in works)
        assert both > forward > 0

    def test_the_limit_is_of_ours(self, works):
        for work, passes in zip(works, (1, 3), strict=True):
            ours = min(each['median'] for each in work['settings'] if each['library'] == OURS)
            assert work['limit']['flops'] == passes * count_flops('atto', (1, 3, 64, 64), True)
            assert work['limit']['of_matmul_rate'] == pytest.approx(work['limit']['flops'] / 1e12 / ours)

    def test_the_table_has_a_line_for_each(self, works):
        text = format_works(works)
        assert text.count('timm, channels_last, compiled ') == 2
        any_peer = works[0]['ratios']['any']
        assert f'= {any_peer["ratio"]:.3f}, with {any_peer["memory"]:.2f} times the added memory' in text


class TestKernels:
    @pytest.mark.parametrize('kernels', ['triton', 'torch'])
    def test_ours_runs_by_what_was_asked_for(self, kernels):
        ours = build_contenders('atto', True, ['timm'], kernels)[OURS]
        assert {block.kernels for stage in ours.stages for block in stage} == {kernels}

    def test_the_kernels_are_refused_where_they_cannot_run(self, monkeypatch):
        monkeypatch.delenv('TRITON_INTERPRET', raising=False)
        with pytest.raises(UsageError, match='--kernels triton: the kernels need an NVIDIA GPU'):
            benchmark_backbone('atto', (1, 3, 64, 64), torch.float32, CPU, kernels='triton')

    def test_the_tool_says_so_in_one_line(self, monkeypatch, capsys):
        monkeypatch.delenv('TRITON_INTERPRET', raising=False)
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        monkeypatch.setattr(sys, 'argv', [str(TOOL), '--kernels', 'triton'])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOL), run_name='__main__')
        assert end.value.code == 2
        assert capsys.readouterr().err.count('\n') == 1

    def test_the_tool_saves_what_ours_ran_by(self, monkeypatch, tmp_path):
        asked = {}
        monkeypatch.setattr(backbone, 'benchmark_backbone', lambda *_, **options: asked.update(options) or [])
        file = tmp_path / 'figures.json'
        monkeypatch.setattr(sys, 'argv', [str(TOOL), '--kernels', 'torch', '--out', str(file)])
        runpy.run_path(str(TOOL), run_name='__main__')
        cases = json.loads(file.read_text())['cases']
        assert {each['kernels'] for each in cases} == {asked['kernels']} == {'torch'}


class TestSettings:
    @pytest.fixture
    def models(self):
        model = ConvNeXt('atto')
        return {Setting(OURS, 'contiguous', 'eager'): model, Setting(OURS, 'channels_last', 'compiled'): model}

    @pytest.fixture
    def inputs(self):
        return dict.fromkeys(('contiguous', 'channels_last'), torch.rand(1, 3, 32, 32))

    def test_the_same_maps_pass(self, models, inputs):
        check_settings(models, inputs, torch.float32, CPU)

    def test_other_maps_are_refused(self, models, inputs):
        inputs['channels_last'] = inputs['channels_last'] + 0.5
        with pytest.raises(RuntimeError, match='convnext_dense, channels_last, compiled gives other maps'):
            check_settings(models, inputs, torch.float32, CPU)


class TestLimits:
    def test_flops_are_the_papers_twice(self):
        # The paper's 4.5G are multiply-adds.
        assert count_flops('tiny', (1, 3, 224, 224)) == pytest.approx(2 * 4.46e9, rel=0.005)
        assert count_flops('tiny', (4, 3, 224, 224)) == 4 * count_flops('tiny', (1, 3, 224, 224))

    def test_fewest_bytes_of_maps_and_weights(self, monkeypatch):
        monkeypatch.setitem(ConvNeXt.arch_settings, 'narrow', Arch((1, 1, 1, 1), (8, 8, 8, 8)))
        image, maps = 3 * 64 * 64, [8 * 16 * 16, 8 * 8 * 8, 8 * 4 * 4, 8 * 2 * 2]
        # Each of stem and downsampling layers, blocks and norms reads its input and writes its output.
        activations = image + maps[0] + sum(a + b for a, b in pairwise(maps)) + 2 * 2 * sum(maps)
        weights = sum(parameter.numel() for parameter in ConvNeXt('narrow').parameters())
        shape = (1, 3, 64, 64)
        assert fewest_bytes('forward', 'narrow', shape, torch.float32) == 4 * (activations + weights)
        assert fewest_bytes('forward', 'narrow', shape, torch.bfloat16) == 2 * activations + 4 * weights
