"""Configs that cannot be read: one sentence with the file and the line."""

import time

import pytest
from helpers.demo_runs import DETECTOR

from convnext_dense.cli.arguments import parse_cfg_options
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError


def wrapping(part: str) -> str:
    dataset = f"dict(_delete_=True, type='RepeatDataset', {part})"
    return f"_base_ = '{DETECTOR}'\ntrain_dataloader = dict(dataset={dataset})\n"


class TestConfigsThatRaise:
    @pytest.mark.parametrize(
        ('text', 'message'),
        [
            ('a = 1\nx = 1 / 0\n', r'bad.py, line 2: ZeroDivisionError: division by zero'),
            ('x = [1][3]\n', r'bad.py, line 1: IndexError'),
            ('def f():\n    f()\n\n\nf()\n', r'bad.py, line 2: RecursionError'),
            ('import sys\nsys.exit(3)\n', r'bad.py, line 2: SystemExit: 3'),
            ('import json\njson.loads("{")\n', r'bad.py, line 2: (RuntimeError|JSONDecodeError)'),
            ('raise RuntimeError("a\\nb")\n', r'bad.py, line 1: RuntimeError: a b$'),
            ('\nmodel = dict(\n', r"bad.py, line 2: SyntaxError: '\(' was never closed$"),
            ("_base_ = './bad.py'\n", r'bad.py: its _base_ forms a circle: .*bad.py of .*bad.py'),
            ("_base_ = ['./not_there.py']\n", r'bad.py, line 1: its _base_ ./not_there.py is not there'),
            (
                "\n_base_ = ['mmyolo::x/y.py']\n",
                r'line 2: its _base_ .* needs the package mmyolo',
            ),
            ("_base_ = 'mmdet::mask_rcnn/mask-rcnn_r5_fpn_1x_coco.py'\n", r'the nearest names are mask-rcnn_r50_fpn'),
            ('_base_ = [3]\n', r'_base_ must be a name or a list of names; got 3'),
            (f"_base_ = '{DETECTOR}'\nmodel = dict(neck={{{{_base_.nothing}}}})\n", r'bad.py: '),
            (f"_base_ = '{DETECTOR}'\ncustom_imports = dict(imports='not_there')\n", r'bad.py: .*not_there$'),
            ('', r"has no 'model'"),
            ("model = 'MaskRCNN'\ndefault_scope = 'mmdet'\n", r"model must be a dict with a type; got 'MaskRCNN'"),
            (
                f"_base_ = '{DETECTOR}'\nval_dataloader = dict(dataset=3)\n",
                r'dataset must be a dict; got 3',
            ),
            (f"_base_ = '{DETECTOR}'\ntrain_cfg = 3\n", r'train_cfg must be a dict; got 3'),
            (f"_base_ = '{DETECTOR}'\nval_evaluator = [3]\n", r'val_evaluator must be a list of dicts; got \[3\]'),
            (f"_base_ = '{DETECTOR}'\nwork_dir = 3\n", r'work_dir must be a text; got 3'),
            (f"_base_ = '{DETECTOR}'\ndefault_hooks = dict(logger=3)\n", r'default_hooks.logger must be a dict; got 3'),
            (
                f"_base_ = '{DETECTOR}'\nvisualizer = dict(vis_backends=['a'])\n",
                r"visualizer.vis_backends must be a list of dicts; got \['a'\]",
            ),
            (f"_base_ = '{DETECTOR}'\nresume = 'a.pth'\n", r"resume must be True or False; got 'a.pth'"),
            (f"_base_ = '{DETECTOR}'\nmodel = dict(backbone='ResNet')\n", r"backbone must be a dict; got 'ResNet'"),
            (
                f"_base_ = '{DETECTOR}'\nmodel = dict(data_preprocessor=dict(mean=3))\n",
                r'mean must be a list of numbers, one a channel; got 3',
            ),
            (wrapping('dataset=None'), r'train_dataloader.dataset.dataset must be a dict; got None'),
            (wrapping('datasets=3'), r'train_dataloader.dataset.datasets must be a list of dicts; got 3'),
            (wrapping('dataset=dict(ann_file=3)'), r'train_dataloader.dataset.dataset.ann_file must be a text; got 3'),
        ],
    )
    def test_say_where_and_what(self, tmp_path, text, message):
        (tmp_path / 'bad.py').write_text(text)
        start = time.monotonic()
        with pytest.raises(UsageError, match=message) as caught:
            load_config(str(tmp_path / 'bad.py'))
        assert '\n' not in str(caught.value)
        assert time.monotonic() - start < 5

    def test_in_a_base_name_the_base(self, tmp_path):
        (tmp_path / 'base.py').write_text('a = 1\nb = a.c\n')
        (tmp_path / 'child.py').write_text("_base_ = './base.py'\n")
        with pytest.raises(UsageError, match=r'base.py, line 2: AttributeError'):
            load_config(str(tmp_path / 'child.py'))

    def test_a_circle_of_two_is_found(self, tmp_path):
        (tmp_path / 'a.py').write_text("_base_ = './b.py'\n")
        (tmp_path / 'b.py').write_text("_base_ = './a.py'\n")
        with pytest.raises(UsageError, match=r'circle: .*a\.py of .*b\.py of .*a\.py'):
            load_config(str(tmp_path / 'a.py'))

    @pytest.mark.parametrize(
        ('name', 'content', 'message'),
        [
            ('bad.yaml', b'a: [1\nb: }', r'bad.yaml, line 2: '),
            ('bad.json', b'{"a": 1,\n b}', r'bad.json, line 2: '),
            ('bad.json', b'[1]', r'bad.json: '),
            ('bad.py', b'\x80\xff', r'bad.py: .*UnicodeDecodeError'),
            ('bad.txt', b'x', r'should be py, json, yaml or yml'),
        ],
    )
    def test_in_other_formats(self, tmp_path, name, content, message):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=message):
            load_config(str(tmp_path / name))


class TestCfgOptions:
    @pytest.mark.parametrize(
        ('text', 'value'),
        [
            ('3', 3),
            ('1e-3', 1e-3),
            ('true', True),
            ('None', None),
            ('', ''),
            ('nucleus', 'nucleus'),
            ('a,b', ['a', 'b']),
            ('[nucleus]', ['nucleus']),
            ('(nucleus,)', ('nucleus',)),
            ("('nucleus',)", ('nucleus',)),
            ("('nucleus', 'cell')", ('nucleus', 'cell')),
            ("['traffic light','car']", ['traffic light', 'car']),
            ("'3'", '3'),
            ('[(1,2),[a,b],c]', [(1, 2), ['a', 'b'], 'c']),
            ('{"type":"Pretrained","checkpoint":"x y.pth"}', {'type': 'Pretrained', 'checkpoint': 'x y.pth'}),
            ('a=b', 'a=b'),
        ],
    )
    def test_are_read_as_python_or_as_mmengine_does(self, text, value):
        assert parse_cfg_options([f'a.b={text}']) == {'a.b': value}

    @pytest.mark.parametrize(
        ('option', 'message'),
        [
            ('a=[1,(2]', 'check its brackets'),
            ("a=dict(type='x')", r"a dict is written as \{'key': value\}"),
            ('a={b:1}', 'a dict is written as'),
            ('a..b=1', 'the key of a..b=1 has an empty part'),
        ],
    )
    def test_that_cannot_be_read_say_so(self, option, message):
        with pytest.raises(UsageError, match=f'cfg_options: .*{message}'):
            parse_cfg_options([option])

    def test_that_do_not_fit_the_config_name_the_key(self):
        with pytest.raises(UsageError, match=r'cfg_options train_dataloader.*pipeline.9.x: .*exceeds the length'):
            load_config(str(DETECTOR), cfg_options={'train_dataloader.dataset.pipeline.9.x': 1})
