"""`convnext-dense compat`: OpenMMLab's own programs find the operators, and nothing is left after it was removed."""

import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import mmdet
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.registry import MODELS, init_default_scope

from convnext_dense.compat.imports import every_program

ROOT = Path(__file__).resolve().parents[3]
MMDETS_TEST = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'test.py'
# As mmdet's and mmseg's users write them: nothing in them names this package.
DETECTOR = """
_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py', 'mmdet::_base_/default_runtime.py']
model = dict(
    backbone=dict(init_cfg=None),
    roi_head=dict(bbox_head=dict(num_classes=4)),
    test_cfg=dict(rcnn=dict(score_thr=0.0, max_per_img=5)),
)
test_dataloader = dict(
    batch_size=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        ann_file='data/demo/coco/annotations/instances_val2017.json',
        data_prefix=dict(img='data/demo/coco/val2017/'),
        metainfo=dict(classes=('circle', 'square', 'triangle', 'star')),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(96, 64), keep_ratio=True),
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
        ],
    ),
)
test_evaluator = dict(
    type='CocoMetric', ann_file='data/demo/coco/annotations/instances_val2017.json', metric='bbox', outfile_prefix='out'
)
test_cfg = dict(type='TestLoop')
"""
SEGMENTER = """
_base_ = ['mmseg::_base_/models/upernet_r50.py', 'mmseg::_base_/default_runtime.py']
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(64, 96)),
    backbone=dict(norm_cfg=dict(type='BN')),
    decode_head=dict(norm_cfg=dict(type='BN'), channels=16, num_classes=4),
    auxiliary_head=dict(norm_cfg=dict(type='BN'), channels=16, num_classes=4),
)
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
"""
SEGMENT = """
import sys
from mmseg.apis import MMSegInferencer
segment = MMSegInferencer(sys.argv[1], sys.argv[2], classes=('a', 'b', 'c', 'd'), palette=[[0] * 3] * 4, device='cpu')
print(segment(sys.argv[3], return_datasamples=True).pred_sem_seg.data.shape)
"""


class Environment:
    """A virtual environment of its own that sees the packages of this one."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / 'bin' / 'python'
        (self.packages,) = folder.glob('lib/python*/site-packages')
        # Such a line adds a folder, but does not read the .pth files in it.
        (self.packages / 'all.pth').write_text(f'{sysconfig.get_path("purelib")}\n{ROOT}\n')

    def run(self, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
        """Run its Python, and return what came of it."""
        environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
        words = [self.python, '-W', 'ignore', *map(str, arguments)]
        return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)

    def compat(self, action: str) -> str:
        """Run `convnext-dense compat`, and return what it printed."""
        result = self.run('-m', 'convnext_dense', 'compat', action)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def files(self) -> set[Path]:
        """Return all files of it but compiled ones."""
        return {path for path in self.packages.rglob('*') if path.suffix != '.pyc'}


@pytest.fixture
def environment(tmp_path):
    return Environment(tmp_path / 'environment')


@pytest.fixture
def model_files(tmp_path):
    """Write a config, and a checkpoint of random weights as mmengine's training writes it."""

    def write(name: str, text: str) -> tuple[Path, Path]:
        config, checkpoint = tmp_path / f'{name}.py', tmp_path / f'{name}.pth'
        config.write_text(text)
        cfg = Config.fromfile(config)
        init_default_scope(cfg.default_scope)
        model = MODELS.build(cfg.model)
        history = dict(log_scalars=dict(loss=HistoryBuffer([1.0], [1])), runtime_info={}, resumed_keys={})
        torch.save(dict(state_dict=model.state_dict(), meta={}, message_hub=history), checkpoint)
        return config, checkpoint

    return write


@pytest.mark.e2e
def test_mmdets_tool_and_mmsegs_inferencer_run_unchanged(environment, model_files, demo_data):
    detector, segmenter = model_files('detector', DETECTOR), model_files('segmenter', SEGMENTER)
    photo = next((demo_data / 'data' / 'demo' / 'coco' / 'val2017').iterdir())
    work_dir = environment.packages.parent / 'tested'
    calls = ([MMDETS_TEST, *detector, '--work-dir', work_dir], ['-c', SEGMENT, *segmenter, photo])
    for call in calls:
        before = environment.run(*call, cwd=demo_data)
        assert "No module named 'mmcv._ext'" in before.stderr
    files = environment.files()

    environment.compat('install')
    tested, segmented = (environment.run(*call, cwd=demo_data) for call in calls)
    assert tested.returncode == 0, tested.stderr[-3000:]
    assert 'coco/bbox_mAP: ' in tested.stdout
    assert segmented.returncode == 0, segmented.stderr[-3000:]
    assert 'torch.Size([1, ' in segmented.stdout

    environment.compat('remove')
    assert environment.files() == files
    assert "No module named 'mmcv._ext'" in environment.run(*calls[1], cwd=demo_data).stderr


class TestFile:
    @pytest.mark.e2e
    def test_is_written_once_and_said(self, environment):
        assert 'not installed' in environment.compat('status')
        written = environment.compat('install')
        assert str(environment.packages / every_program.NAME) in written
        assert environment.compat('install') == written
        assert str(environment.packages / every_program.NAME) in environment.compat('status')
        assert str(environment.packages / every_program.NAME) in environment.compat('remove')
        assert environment.compat('remove') == 'Deleted nothing: it was not installed.\n'

    def test_imports_nothing_until_openmmlab_is_imported(self, environment):
        environment.compat('install')
        code = 'import sys; print("convnext_dense" in sys.modules, "torch" in sys.modules)'
        assert environment.run('-c', code).stdout == 'False False\n'
        assert environment.run('-c', f'import mmengine; {code}').stdout.startswith('True')

    @pytest.mark.e2e
    def test_a_program_that_imports_the_package_itself_goes_on(self, environment):
        environment.compat('install')
        code = 'import convnext_dense, mmcv.ops, mmengine.registry as r; print("convnext_dense" in r.MODELS.children)'
        assert environment.run('-c', code).stdout == 'True\n'

    def test_says_what_to_do_if_the_package_is_gone(self, environment):
        environment.compat('install')
        (environment.packages / 'all.pth').write_text(sysconfig.get_path('purelib') + '\n')
        result = environment.run('-c', 'import mmengine; print("goes on")', cwd=environment.packages)
        assert result.stdout == 'goes on\n'
        (line,) = result.stderr.splitlines()
        assert line.startswith(every_program.NAME)
        assert "No module named 'convnext_dense'" in line

    def test_a_compiled_mmcv_keeps_its_operators(self, environment):
        environment.compat('install')
        mmcv = environment.packages / 'mmcv'
        mmcv.mkdir()
        (mmcv / '__init__.py').write_text('')
        (mmcv / '_ext.py').write_text('COMPILED = True')
        (environment.packages / 'all.pth').write_text(f'{ROOT}\n{sysconfig.get_path("purelib")}\n')
        assert environment.run('-c', 'from mmcv._ext import COMPILED; print(COMPILED)').stdout == 'True\n'

    def test_a_folder_that_cannot_be_written_to_is_said(self, tmp_path, monkeypatch, command):
        (tmp_path / 'file').write_text('')
        monkeypatch.setattr(every_program, 'site_folders', lambda: [tmp_path / 'file' / 'packages'])
        result = command('compat', 'install')
        assert result.status == 2
        assert result.err == f'error: {tmp_path}/file/packages cannot be written: Not a directory.\n'

    def test_goes_to_the_users_own_folder_otherwise(self, tmp_path, monkeypatch):
        (tmp_path / 'file').write_text('')
        monkeypatch.setattr(every_program, 'site_folders', lambda: [tmp_path / 'file', tmp_path / 'own'])
        assert every_program.install() == tmp_path / 'own' / every_program.NAME
        assert every_program.remove() == [tmp_path / 'own' / every_program.NAME]
        assert every_program.installed() == []
