"""Modules that are compiled once for every size, and that stay what they are."""

import copy
import io
import pickle
import shutil
import sysconfig
from types import SimpleNamespace

import pytest
import torch
from mmdet.models.necks import FPN
from mmdet.models.test_time_augs import DetTTAModel
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch._dynamo.utils import counters

from convnext_dense.backbones import ConvNeXt
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError
from convnext_dense.hooks import CompileHook
from convnext_dense.hooks.speed.compile_hook import CompiledForward, check_compiler
from convnext_dense.meta_device import build_on_meta

CHANNELS = [12, 24, 48, 96]
# Batch, height and width. Some are equal to one another, or to those of other levels.
SIZES = [(2, 64, 64), (2, 64, 96), (2, 96, 64), (4, 64, 64)]
MANY_SIZES = [(2, 128, 128), (2, 128, 160), (2, 256, 192), (4, 128, 128), (3, 96, 352), (8, 128, 128)]


@pytest.fixture(autouse=True)
def _no_code_of_other_tests():
    torch._dynamo.reset()
    counters.clear()


def make_backbone(stages=2, **options):
    arch = dict(depths=[1] * stages, channels=CHANNELS[:stages])
    return ConvNeXt(arch, out_indices=range(stages), **options)


def count_graphs():
    assert not counters['graph_break']
    return counters['stats']['unique_graphs']


def make_runner(**modules):
    return SimpleNamespace(model=nn.ModuleDict(modules))


def build(scope, **cfg):
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(cfg)


def compiled_modules(model):
    return {name for name, module in model.named_modules() if isinstance(module.forward, CompiledForward)}


class TestManySizes:
    @pytest.mark.parametrize(
        ('stages', 'sizes'), [(1, SIZES), pytest.param(4, MANY_SIZES, marks=pytest.mark.full)], ids=['one', 'four']
    )
    def test_backbone_neck_and_rpn_head_compile_once(self, stages, sizes):
        levels = stages + 1
        strides = [4 * 2**level for level in range(levels)]
        anchors = dict(type='mmdet.AnchorGenerator', scales=[4], ratios=[1.0], strides=strides)
        backbone, neck = make_backbone(stages, drop_path_rate=0.1), FPN(CHANNELS[:stages], 16, num_outs=levels)
        rpn_head = build('mmdet', type='RPNHead', in_channels=16, feat_channels=16, anchor_generator=anchors)
        runner = make_runner(backbone=backbone, neck=neck, rpn_head=rpn_head)
        CompileHook(backend='aot_eager').before_train(runner)
        for n, height, width in sizes:
            outputs = rpn_head(neck(backbone(torch.rand(n, 3, height, width))))
            sum(maps.sum() for output in outputs for maps in output).backward()
            assert outputs[0][0].shape[-2:] == (height // 4, width // 4)
            assert count_graphs() == 3
        runner.model.eval()
        with torch.no_grad():
            for n, height, width in sizes:
                rpn_head(neck(backbone(torch.rand(n, 3, height, width))))
                assert count_graphs() == 6

    @pytest.mark.parametrize('kind', ['FCNHead', pytest.param('UPerHead', marks=pytest.mark.full)])
    def test_a_decoder_that_calls_forward_itself_compiles_once(self, kind):
        levels = (
            dict(in_channels=CHANNELS[:2], in_index=[0, 1])
            if kind == 'UPerHead'
            else dict(in_channels=CHANNELS[0], in_index=0)
        )
        norm_cfg = dict(type='GN', num_groups=4)
        head = build('mmseg', type=kind, channels=8, num_classes=3, norm_cfg=norm_cfg, align_corners=False, **levels)
        CompileHook(backend='aot_eager').before_train(make_runner(decode_head=head))
        for n, height, width in SIZES:
            maps = [
                torch.rand(n, channels, height // stride, width // stride)
                for channels, stride in zip(CHANNELS[:2], (4, 8), strict=True)
            ]
            head.forward(maps).sum().backward()
            assert count_graphs() == 1

    def test_code_for_one_size_compiles_for_each(self):
        backbone = make_backbone(1)
        CompileHook(dynamic=False, backend='eager').before_train(make_runner(backbone=backbone))
        for n, height, width in SIZES[:3]:
            backbone(torch.rand(n, 3, height, width))
        assert count_graphs() == 3

    def test_recomputed_blocks_compile_once(self):
        plain, recomputed = make_backbone(1), make_backbone(1, with_cp=True)
        recomputed.load_state_dict(plain.state_dict())
        recomputed.forward = CompiledForward(recomputed, dict(dynamic=True, backend='aot_eager'))
        for n, height, width in SIZES[:3]:
            images = torch.rand(n, 3, height, width)
            for model in (plain, recomputed):
                model(images)[0].square().sum().backward()
        assert count_graphs() == 1
        for (name, param), other in zip(plain.named_parameters(), recomputed.parameters(), strict=True):
            torch.testing.assert_close(other.grad, param.grad, msg=name)


class TestCompiledForward:
    def test_the_module_keeps_its_values_and_names(self):
        backbone = make_backbone(1).eval()
        images = torch.rand(2, 3, 32, 48)
        expected, names = backbone(images), list(backbone.state_dict())
        modules = [name for name, _ in backbone.named_modules()]
        backbone.forward = CompiledForward(backbone, dict(dynamic=True, backend='aot_eager'))
        torch.testing.assert_close(backbone(images), expected)
        assert count_graphs() == 1
        assert list(backbone.state_dict()) == names
        assert [name for name, _ in backbone.named_modules()] == modules

    @pytest.mark.skipif(not shutil.which('g++'), reason='generates C++')
    @pytest.mark.parametrize('kind', ['layer', pytest.param('backbone', marks=pytest.mark.full)])
    def test_generated_code_computes_the_same(self, kind):
        if kind == 'layer':
            plain, shapes = nn.Sequential(nn.Linear(4, 8), nn.GELU()), [(2, 4), (3, 4)]
        else:
            plain, shapes = make_backbone(1, layer_scale_init_value=0.5), [(2, 3, 32, 48), (1, 3, 64, 32)]
        compiled = copy.deepcopy(plain)
        compiled.forward = CompiledForward(compiled, dict(dynamic=True, backend='inductor'))
        for shape in shapes:
            images = torch.rand(shape)
            expected, outputs = plain(images), compiled(images)
            torch.testing.assert_close(outputs, expected)
            for maps in (expected, outputs):
                sum(level.square().mean() for level in maps).backward()
        for (name, param), other in zip(plain.named_parameters(), compiled.parameters(), strict=True):
            torch.testing.assert_close(other.grad, param.grad, rtol=1e-3, atol=1e-5, msg=name)

    @pytest.mark.parametrize('how', ['copied', 'pickled', 'saved'])
    def test_copies_have_weights_of_their_own(self, how):
        backbone = make_backbone(1).eval()
        backbone.forward = CompiledForward(backbone, dict(backend='eager'))
        images = torch.rand(1, 3, 32, 32)
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


class TestCompileHook:
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
    def test_it_compiles_the_dense_modules(self, config, scope, compiled, pytestconfig):
        cfg = load_config(str(pytestconfig.rootpath / 'configs' / config))
        model = build_on_meta(cfg.model, scope)
        hook = CompileHook()
        for _ in range(2):
            hook.before_test(SimpleNamespace(model=DetTTAModel(module=model)))
        assert compiled_modules(model) == compiled

    def test_it_compiles_the_modules_that_are_named(self):
        runner = make_runner(backbone=make_backbone(1), neck=nn.ModuleList([nn.Identity(), nn.Identity()]))
        CompileHook(modules=['neck']).before_val(runner)
        assert compiled_modules(runner.model) == {'neck.0', 'neck.1'}

    def test_a_named_module_that_is_missing_is_an_error(self):
        with pytest.raises(UsageError, match="has no module 'head'; it has backbone"):
            CompileHook(modules=['head']).before_train(make_runner(backbone=make_backbone(1)))

    def test_a_missing_compiler_is_found_before_training(self, monkeypatch):
        monkeypatch.setattr(shutil, 'which', lambda name: None)
        runner = SimpleNamespace(model=nn.Linear(1, 1))
        with pytest.raises(UsageError, match='or leave compile out'):
            CompileHook().before_run(runner)
        CompileHook(backend='aot_eager').before_run(runner)


class TestCudaGraphs:
    @pytest.fixture
    def marks(self, monkeypatch):
        seen = []
        monkeypatch.setattr(torch.compiler, 'cudagraph_mark_step_begin', lambda: seen.append('mark'))
        return seen

    @pytest.mark.parametrize(('mode', 'count'), [('reduce-overhead', 1), ('max-autotune', 1), (None, 0)])
    def test_each_step_may_write_over_the_last_ones_maps(self, marks, mode, count):
        CompileHook(mode=mode).before_train_iter(None, 0)
        assert len(marks) == count

    def test_so_may_each_window_of_a_test_from_the_first_module_on(self, marks, monkeypatch):
        monkeypatch.setattr(torch, 'compile', lambda forward, **_: forward)
        runner = make_runner(backbone=nn.Identity(), neck=nn.Identity())
        CompileHook(mode='reduce-overhead').before_test(runner)
        for is_training, count in ((True, 0), (False, 3)):
            runner.model.train(is_training)
            for _ in range(3):
                runner.model.neck(runner.model.backbone(torch.zeros(1)))
            assert len(marks) == count


class TestCheckCompiler:
    @pytest.mark.parametrize(('device', 'variable', 'name'), [('cpu', 'CXX', r'g\+\+'), ('cuda', 'CC', 'gcc')])
    def test_a_missing_compiler_is_named(self, device, variable, name, monkeypatch):
        monkeypatch.setattr(shutil, 'which', lambda name: None)
        with pytest.raises(UsageError, match=f'install {name}, .* in the environment variable {variable}'):
            check_compiler(device)

    def test_missing_headers_are_named(self, monkeypatch, tmp_path):
        monkeypatch.setattr(shutil, 'which', lambda name: f'/usr/bin/{name}')
        monkeypatch.setattr(sysconfig, 'get_path', lambda name: str(tmp_path))
        with pytest.raises(UsageError, match=r'there is no .*Python\.h; install them \(python3-dev\)'):
            check_compiler('cuda')
