"""Compiled once for every size, copied and saved as if it were not, and refused in one sentence."""

import copy
import io
import pickle
import shutil
import sysconfig
from types import SimpleNamespace

import pytest
import torch
from mmdet.models.necks import FPN
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch._dynamo.utils import counters

from convnext_dense.backbones import ConvNeXt
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError
from convnext_dense.hooks import CompileHook
from convnext_dense.hooks.compile_hook import CompiledForward, check_compiler
from convnext_dense.meta_device import build_on_meta

AOT = dict(dynamic=True, backend='aot_eager')
CHANNELS = [12, 24, 48, 96]
# Sides that equal one another, the batch, and those of other levels, and that do not.
SIZES = [(2, 128, 128), (2, 128, 160), (2, 256, 192), (4, 128, 128), (3, 96, 352), (8, 256, 256)]


@pytest.fixture(autouse=True)
def _no_code_of_other_tests():
    torch._dynamo.reset()
    counters.clear()


@pytest.fixture
def backbone():
    return ConvNeXt(dict(depths=[1, 1, 1, 1], channels=CHANNELS), drop_path_rate=0.1)


def graphs():
    assert not counters['graph_break']
    return counters['stats']['unique_graphs']


def runner_of(model):
    return SimpleNamespace(model=model)


def build(scope, **cfg):
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(cfg)


class TestImagesOfManySizes:
    def test_compile_a_detectors_backbone_neck_and_rpn_head_once(self, backbone):
        anchors = dict(type='mmdet.AnchorGenerator', scales=[4], ratios=[1.0], strides=[4, 8, 16, 32, 64])
        model = nn.Module()
        model.backbone = backbone
        model.neck = FPN(CHANNELS, 16, num_outs=5)
        model.rpn_head = build('mmdet', type='RPNHead', in_channels=16, feat_channels=16, anchor_generator=anchors)
        CompileHook(backend='aot_eager').before_train(runner_of(model))
        for n, height, width in SIZES:
            levels = model.rpn_head(model.neck(model.backbone(torch.rand(n, 3, height, width))))
            sum(each.sum() for level in levels for each in level).backward()
            assert levels[0][0].shape[-2:] == (height // 4, width // 4)
            assert graphs() == 3
        model.eval()
        with torch.no_grad():
            for n, height, width in SIZES:
                model.rpn_head(model.neck(model.backbone(torch.rand(n, 3, height, width))))
                assert graphs() == 6

    def test_compile_mmsegs_decoder_once_though_it_calls_forward_itself(self):
        common = dict(channels=8, num_classes=3, norm_cfg=dict(type='GN', num_groups=4), align_corners=False)
        head = build('mmseg', type='UPerHead', in_channels=CHANNELS, in_index=[0, 1, 2, 3], **common)
        model = nn.Module()
        model.decode_head = head
        CompileHook(backend='aot_eager').before_train(runner_of(model))
        for n, height, width in SIZES:
            maps = [torch.rand(n, c, height // s, width // s) for c, s in zip(CHANNELS, (4, 8, 16, 32), strict=True)]
            head.forward(maps).sum().backward()
            assert graphs() == 1

    def test_compile_again_where_the_code_is_for_one_size(self, backbone):
        model = nn.Module()
        model.backbone = backbone
        CompileHook(dynamic=False, backend='eager').before_train(runner_of(model))
        for n, height, width in SIZES[:3]:
            backbone(torch.rand(n, 3, height, width))
        assert graphs() == 3

    def test_compile_blocks_that_are_recomputed(self):
        plain = ConvNeXt(dict(depths=[1, 1], channels=CHANNELS[:2]), out_indices=1)
        recomputed = ConvNeXt(dict(depths=[1, 1], channels=CHANNELS[:2]), out_indices=1, with_cp=True)
        recomputed.load_state_dict(plain.state_dict())
        recomputed.forward = CompiledForward(recomputed, AOT)
        for n, height, width in SIZES[:3]:
            images = torch.rand(n, 3, height, width)
            for model in (plain, recomputed):
                model(images)[0].square().sum().backward()
        assert graphs() == 1
        for (name, param), other in zip(plain.named_parameters(), recomputed.parameters(), strict=True):
            torch.testing.assert_close(other.grad, param.grad, msg=name)


class TestACompiledModule:
    def test_computes_the_same_under_the_same_names(self, backbone):
        backbone.eval()
        images = torch.rand(2, 3, 64, 96)
        expected, names = backbone(images), list(backbone.state_dict())
        modules = [name for name, _ in backbone.named_modules()]
        backbone.forward = CompiledForward(backbone, AOT)
        torch.testing.assert_close(backbone(images), expected)
        assert counters['stats']['unique_graphs'] == 1
        assert list(backbone.state_dict()) == names
        assert [name for name, _ in backbone.named_modules()] == modules

    @pytest.mark.skipif(not shutil.which('g++'), reason='generates C++')
    def test_computes_the_same_by_generated_code(self):
        plain = ConvNeXt(dict(depths=[1, 1], channels=[8, 16]), out_indices=(0, 1), layer_scale_init_value=0.5)
        compiled = copy.deepcopy(plain)
        compiled.forward = CompiledForward(compiled, dict(dynamic=True, backend='inductor'))
        for n, height, width in [(2, 32, 48), (1, 64, 32)]:
            images = torch.rand(n, 3, height, width)
            outs = [model(images) for model in (plain, compiled)]
            torch.testing.assert_close(outs[1], outs[0])
            for maps in outs:
                sum(each.square().mean() for each in maps).backward()
        for (name, param), other in zip(plain.named_parameters(), compiled.named_parameters(), strict=True):
            torch.testing.assert_close(other[1].grad, param.grad, rtol=1e-3, atol=1e-5, msg=name)

    @pytest.mark.parametrize('how', ['copied', 'pickled', 'saved'])
    def test_has_copies_with_weights_of_their_own(self, backbone, how):
        backbone.eval()
        backbone.forward = CompiledForward(backbone, dict(backend='eager'))
        images = torch.rand(1, 3, 64, 64)
        expected = backbone(images)
        if how == 'copied':
            other = copy.deepcopy(backbone)
        elif how == 'pickled':
            other = pickle.loads(pickle.dumps(backbone))
        else:
            file = io.BytesIO()
            torch.save(backbone, file)
            file.seek(0)
            other = torch.load(file, weights_only=False)
        torch.testing.assert_close(other(images), expected)
        with torch.no_grad():
            for param in other.parameters():
                param.zero_()
        assert not other(images)[0].any()
        torch.testing.assert_close(backbone(images), expected)


class TestWhatIsCompiled:
    @pytest.mark.parametrize(
        ('config', 'scope', 'compiled'),
        [
            ('mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py', 'mmdet', {'backbone', 'neck', 'rpn_head'}),
            ('rtmdet/rtmdet_m_convnext-t_4xb32-100e_coco.py', 'mmdet', {'backbone', 'neck', 'bbox_head'}),
            ('dino/dino-4scale_convnext-t_8xb2-12e_coco.py', 'mmdet', {'backbone', 'neck'}),
            (
                'upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py',
                'mmseg',
                {'backbone', 'decode_head', 'auxiliary_head'},
            ),
            ('mask2former/mask2former_convnext-t_8xb2-160k_ade20k-512x512.py', 'mmseg', {'backbone'}),
            ('mask2former/mask2former_convnext-t_8xb2-lsj-50e_coco.py', 'mmdet', {'backbone'}),
        ],
    )
    def test_are_the_dense_parts(self, config, scope, compiled, pytestconfig):
        cfg = load_config(str(pytestconfig.rootpath / 'configs' / config))
        model = build_on_meta(cfg.model, scope)
        hook = CompileHook()
        for _ in range(2):
            hook.before_test(runner_of(nn.ModuleDict(dict(module=model))))
        names = {name for name, module in model.named_modules() if isinstance(module.forward, CompiledForward)}
        assert names == compiled

    def test_can_be_named(self, backbone):
        model = nn.Module()
        model.backbone, model.neck = backbone, nn.ModuleList([nn.Identity(), nn.Identity()])
        CompileHook(modules=['neck']).before_val(runner_of(model))
        names = {name for name, module in model.named_modules() if isinstance(module.forward, CompiledForward)}
        assert names == {'neck.0', 'neck.1'}

    def test_must_be_there_if_named(self, backbone):
        model = nn.Module()
        model.backbone = backbone
        with pytest.raises(UsageError, match="has no module 'head'; it has backbone"):
            CompileHook(modules=['head']).before_train(runner_of(model))


class TestAMachineThatCannotCompile:
    @pytest.mark.parametrize(('device', 'variable', 'name'), [('cpu', 'CXX', r'g\+\+'), ('cuda', 'CC', 'gcc')])
    def test_for_want_of_a_compiler_says_so_before_it_trains(self, device, variable, name, monkeypatch):
        monkeypatch.setattr(shutil, 'which', lambda name: None)
        with pytest.raises(UsageError, match=f'install {name}, .* by the environment variable {variable}'):
            check_compiler(device)

    def test_for_want_of_headers_says_so(self, monkeypatch, tmp_path):
        monkeypatch.setattr(shutil, 'which', lambda name: f'/usr/bin/{name}')
        monkeypatch.setattr(sysconfig, 'get_path', lambda name: str(tmp_path))
        with pytest.raises(UsageError, match=r'there is no .*Python\.h; install them \(python3-dev\)'):
            check_compiler('cuda')

    def test_is_found_before_anything_is_loaded(self, monkeypatch):
        monkeypatch.setattr(shutil, 'which', lambda name: None)
        runner = runner_of(nn.Linear(1, 1))
        with pytest.raises(UsageError, match='or leave compile out'):
            CompileHook().before_run(runner)
        CompileHook(backend='aot_eager').before_run(runner)
