"""Checkpoints through the tools: detectors in other names evaluate the same, and bad files end a run in one line."""

import json
import re

import torch
from helpers.demo_runs import DETECTOR, FEW_WORKERS, ROOT, SEGMENTER, TEST, TRAIN, detector_options
from mmengine.registry import init_default_scope

from convnext_dense.backbones import ConvNeXt
from convnext_dense.config import load_config
from convnext_dense.weights.export import convert_checkpoint
from convnext_dense.weights.inspection import inspect_checkpoint, published_table

CONVERT, INSPECT = ROOT / 'tools' / 'convert_checkpoint.py', ROOT / 'tools' / 'inspect_checkpoint.py'
BENCHMARK = ROOT / 'tools' / 'benchmark_checkpoint_loading.py'
# Trained this little, a detector needs all its boxes to have a score at all.
ALL_BOXES = 'model.test_cfg.rcnn.score_thr=0.0'


def metrics(work_dir, pattern='*/*.json'):
    (file,) = work_dir.glob(pattern)
    figures = json.loads(file.read_text().splitlines()[-1])
    return {name: value for name, value in figures.items() if name not in ('time', 'data_time')}


class TestWholeModels:
    def test_a_detector_evaluates_the_same_in_mmpretrains_names(self, trained, run_tool, tmp_path):
        own, other = trained['detector'].checkpoint, tmp_path / 'mmpretrain.safetensors'
        convert_checkpoint(str(own), other, 'mmpretrain')
        assert other.stat().st_size < 0.6 * own.stat().st_size
        scores = []
        for name, file in (('own', own), ('other', other)):
            options = [*FEW_WORKERS, ALL_BOXES]
            result = run_tool(TEST, DETECTOR, file, '--work-dir', tmp_path / name, '--cfg-options', *options)
            assert result.returncode == 0, result.stderr[-3000:]
            scores.append(metrics(tmp_path / name))
        assert scores[0] == scores[1]

    def test_a_segmenter_evaluates_as_it_did_in_training(self, trained, run_tool, tmp_path):
        other = tmp_path / 'mmpretrain.pth'
        convert_checkpoint(str(trained['segmenter'].checkpoint), other, 'mmpretrain')
        result = run_tool(TEST, SEGMENTER, other, '--work-dir', tmp_path / 'test', '--cfg-options', *FEW_WORKERS)
        assert result.returncode == 0, result.stderr[-3000:]
        in_training = metrics(trained['segmenter'].work_dir, '*/vis_data/scalars.json')
        assert metrics(tmp_path / 'test') == {name: in_training[name] for name in ('aAcc', 'mIoU', 'mAcc')}

    def test_a_segmenters_checkpoint_is_no_detectors(self, trained, run_tool, tmp_path):
        result = run_tool(TEST, DETECTOR, trained['segmenter'].checkpoint, '--work-dir', tmp_path)
        assert result.returncode == 2
        assert 'Traceback' not in result.stderr
        assert 'is no checkpoint of this model: it lacks' in result.stderr
        assert 'neck.lateral_convs' in result.stderr

    def test_fine_tuning_takes_a_model_of_other_classes(self, trained, run_tool, tmp_path):
        weights = torch.load(trained['detector'].checkpoint)['state_dict']
        file = tmp_path / 'coco.pth'
        torch.save(weights | {'roi_head.bbox_head.fc_cls.bias': torch.rand(81)}, file)
        options = [*detector_options(1), f'load_from={file}']
        result = run_tool(TRAIN, DETECTOR, '--work-dir', tmp_path, '--cfg-options', *options)
        assert result.returncode == 0, result.stderr[-3000:]
        assert re.search(r'the weights of backbone: all \d+ tensors match', result.stdout)
        assert 'size mismatch for roi_head.bbox_head.fc_cls.bias' in result.stdout


STEM = 'backbone.downsample_layers.0.0.weight'


def cut_short(path, whole, weights):
    path.write_bytes(whole[: len(whole) // 2])


def one_tensor_of_wrong_shape(path, whole, weights):
    torch.save(weights | {STEM: weights[STEM][:-1]}, path)


def wrong_arch(path, whole, weights):
    torch.save({name: each for name, each in weights.items() if not name.startswith('backbone.stages.2.2')}, path)


class TestBadFiles:
    """One kind in each tool; `tests/checkpoints/test_files.py` and `test_matching.py` have every kind."""

    def fails(self, spoil, message, trained, run_tool, tmp_path, arguments):
        path = tmp_path / 'bad.pth'
        checkpoint = trained['detector'].checkpoint
        spoil(path, checkpoint.read_bytes(), torch.load(checkpoint)['state_dict'])
        result = run_tool(*arguments(path))
        assert result.returncode == 2, result.stderr[-3000:]
        assert 'Traceback' not in result.stderr
        assert result.stderr.splitlines()[-1].startswith('error: ')
        assert message in result.stderr

    def test_code_in_test(self, code, trained, run_tool, tmp_path):
        def spoil(path, whole, weights):
            torch.save({'state_dict': code(tmp_path / 'ran')}, path)

        self.fails(spoil, 'which could run code', trained, run_tool, tmp_path, lambda path: [TEST, DETECTOR, path])
        assert not (tmp_path / 'ran').exists()

    def test_a_wrong_arch_in_train_by_init_cfg(self, trained, run_tool, tmp_path):
        def arguments(path):
            config = tmp_path / 'config.py'
            init_cfg = f"dict(_delete_=True, type='Pretrained', checkpoint='{path}')"
            config.write_text(f"_base_ = ['{DETECTOR}']\nmodel = dict(backbone=dict(init_cfg={init_cfg}))\n")
            return [TRAIN, config, '--work-dir', tmp_path / 'work']

        message = "set arch={'depths': [1, 1, 2, 1]"
        self.fails(wrong_arch, message, trained, run_tool, tmp_path, arguments)

    def test_a_wrong_shape_in_train_by_load_from(self, trained, run_tool, tmp_path):
        def arguments(path):
            return [TRAIN, DETECTOR, '--work-dir', tmp_path / 'work', '--cfg-options', f'load_from={path}']

        message = 'the shapes differ of downsample_layers.0.0.weight'
        self.fails(one_tensor_of_wrong_shape, message, trained, run_tool, tmp_path, arguments)

    def test_half_a_file_in_convert(self, trained, run_tool, tmp_path):
        new = tmp_path / 'new.pth'
        self.fails(cut_short, 'is cut short', trained, run_tool, tmp_path, lambda path: [CONVERT, path, new])
        assert not new.exists()


class TestInspect:
    def test_says_what_a_file_is_and_what_would_load(self, trained, run_tool):
        result = run_tool(INSPECT, trained['detector'].checkpoint, '--config', DETECTOR)
        assert result.returncode == 0, result.stderr[-3000:]
        for part in (
            "arch={'depths': [1, 1, 3, 1], 'channels': [32, 64, 128, 256]}",
            "official layout, below 'state_dict.backbone.'; float32",
            'neck (',
            'by init_cfg  the backbone would load',
            '46 of 46 tensors of the rest of the model would load',
        ):
            assert part in result.stdout
        assert re.search(r'matched +(\d+) of \1 tensors', result.stdout)

    def test_says_what_would_not_load(self, trained):
        cfg = load_config(str(DETECTOR))
        cfg.model.backbone.arch = 'tiny'
        init_default_scope(cfg.default_scope)
        inspection = inspect_checkpoint(str(trained['detector'].checkpoint), cfg.model)
        assert 'the backbone would not load' in inspection.text
        assert "set arch={'depths': [1, 1, 3, 1]" in inspection.problem

    def test_lists_the_published_names(self):
        (line,) = (line for line in published_table().splitlines() if line.startswith('convnextv2_atto_fcmae '))
        assert 'CC-BY-NC-4.0' in line
        assert line.endswith('pt_only/convnextv2_atto_1k_224_fcmae.pt')


def test_the_benchmark_measures_what_loading_adds(run_tool, tmp_path):
    file = tmp_path / 'weights.pth'
    torch.save(ConvNeXt('tiny', layer_scale_init_value=1.0).state_dict(), file)
    result = run_tool(BENCHMARK, '--arch', 'tiny', '--row', 'init_cfg', file)
    assert result.returncode == 0, result.stderr[-3000:]
    # A small file, beside which what a first load needs once counts.
    once = 50e6
    size = file.stat().st_size
    assert 0.5 * size < int(result.stdout.split()[-1]) < 1.1 * size + once
