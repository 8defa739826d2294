"""Other libraries' ConvNeXt is the same as ours."""

import pytest
import torch
from torch import nn

from benchmarks import peers
from benchmarks.peers import OURS, build_contenders, build_ours
from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import UsageError
from convnext_dense.kernels import CHOICES


class TestBuildContenders:
    @pytest.mark.parametrize(
        ('arch', 'v2', 'libraries'),
        [
            ('atto', True, ['timm', 'mmpretrain', 'transformers']),
            pytest.param('tiny', False, ['timm', 'torchvision', 'mmpretrain', 'transformers'], marks=pytest.mark.full),
        ],
    )
    def test_all_have_the_same_parameters_and_maps(self, arch, v2, libraries):
        contenders = build_contenders(arch, v2)
        assert list(contenders) == [OURS, *libraries]
        assert len({sum(p.numel() for p in model.parameters()) for model in contenders.values()}) == 1
        image = torch.rand(1, 3, 64, 64)
        shapes = {tuple(tuple(x.shape) for x in model(image)) for model in contenders.values()}
        channels = ConvNeXt.arch_settings[arch].channels
        assert shapes == {
            tuple((1, width, 64 // s, 64 // s) for width, s in zip(channels, (4, 8, 16, 32), strict=True))
        }

    def test_one_that_computes_something_else_is_refused(self, monkeypatch):
        def build_with_relu(arch, v2):
            model = peers._build_timm(arch, v2)
            for block in model.trunk.stages[2].blocks:
                block.mlp.act = nn.ReLU()
            return model

        monkeypatch.setitem(peers.BUILDERS, 'timm', build_with_relu)
        with pytest.raises(RuntimeError, match='timm computes other maps'):
            build_contenders('atto', True, ['timm'])

    @pytest.mark.parametrize(
        ('libraries', 'message'),
        [(['torchvision'], 'torchvision has no ConvNeXt atto'), (['open_clip'], 'open_clip is none of')],
    )
    def test_a_library_without_it_is_named(self, libraries, message):
        with pytest.raises(UsageError, match=message):
            build_contenders('atto', False, libraries)

    def test_a_library_that_is_missing_is_left_out_unless_asked_for(self, monkeypatch):
        monkeypatch.setattr(peers.importlib.util, 'find_spec', lambda name: name in (OURS, 'timm') or None)
        assert list(build_contenders('atto', True)) == [OURS, 'timm']
        with pytest.raises(UsageError, match='mmpretrain is not installed'):
            build_contenders('atto', True, ['mmpretrain'])

    @pytest.mark.parametrize('kernels', CHOICES)
    def test_ours_runs_as_asked(self, kernels):
        ours = build_ours('atto', True, kernels)
        assert {block.kernels for stage in ours.stages for block in stage} == {kernels}
