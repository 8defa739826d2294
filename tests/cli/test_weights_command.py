"""Weights through the commands: renamed detectors evaluate the same, and bad files end a run in one line."""

import json
import re

import pytest
import torch
from helpers.demo_runs import DETECTOR, FEW_WORKERS, SEGMENTER, detector_options
from mmengine.registry import init_default_scope

from convnext_dense.config import load_config
from convnext_dense.weights.export import convert_checkpoint
from convnext_dense.weights.inspection import inspect_checkpoint, published_table

# Trained this little, a detector needs all its boxes to have a score at all.
ALL_BOXES = 'model.test_cfg.rcnn.score_thr=0.0'


def metrics(work_dir, pattern='*/*.json'):
    (file,) = work_dir.glob(pattern)
    figures = json.loads(file.read_text().splitlines()[-1])
    return {name: value for name, value in figures.items() if name not in ('time', 'data_time')}


class TestWholeModels:
    def test_a_detector_evaluates_the_same_in_mmpretrains_names(self, detector, command, tmp_path):
        own, other = detector.checkpoint, tmp_path / 'mmpretrain.safetensors'
        convert_checkpoint(str(own), other, 'mmpretrain')
        assert other.stat().st_size < 0.6 * own.stat().st_size
        scores = []
        for name, file in (('own', own), ('other', other)):
            options = [*FEW_WORKERS, ALL_BOXES]
            result = command('test', DETECTOR, file, '--work-dir', tmp_path / name, '--cfg-options', *options)
            assert result.status == 0, result.err[-3000:]
            scores.append(metrics(tmp_path / name))
        assert scores[0] == scores[1]

    def test_a_segmenter_evaluates_as_it_did_in_training(self, segmenter, command, tmp_path):
        other = tmp_path / 'mmpretrain.pth'
        convert_checkpoint(str(segmenter.checkpoint), other, 'mmpretrain')
        result = command('test', SEGMENTER, other, '--work-dir', tmp_path / 'test', '--cfg-options', *FEW_WORKERS)
        assert result.status == 0, result.err[-3000:]
        in_training = metrics(segmenter.work_dir, '*/vis_data/scalars.json')
        assert metrics(tmp_path / 'test') == {name: in_training[name] for name in ('aAcc', 'mIoU', 'mAcc')}

    def test_a_segmenters_checkpoint_is_no_detectors(self, segmenter, command, tmp_path):
        result = command('test', DETECTOR, segmenter.checkpoint, '--work-dir', tmp_path)
        assert result.status == 2
        assert 'Traceback' not in result.err
        assert 'is no checkpoint of this model: it lacks' in result.err
        assert 'neck.lateral_convs' in result.err

    def test_fine_tuning_takes_a_model_of_other_classes(self, detector, command, tmp_path):
        weights = torch.load(detector.checkpoint)['state_dict']
        file = tmp_path / 'coco.pth'
        torch.save(weights | {'roi_head.bbox_head.fc_cls.bias': torch.rand(81)}, file)
        options = [*detector_options(1), f'load_from={file}']
        result = command('train', DETECTOR, '--work-dir', tmp_path, '--cfg-options', *options)
        assert result.status == 0, result.err[-3000:]
        assert re.search(r'the weights of backbone: all \d+ tensors match', result.out)
        assert 'size mismatch for roi_head.bbox_head.fc_cls.bias' in result.out


STEM = 'backbone.downsample_layers.0.0.weight'


def cut_short(path, whole, weights):
    path.write_bytes(whole[: len(whole) // 2])


def one_tensor_of_wrong_shape(path, whole, weights):
    torch.save(weights | {STEM: weights[STEM][:-1]}, path)


def wrong_arch(path, whole, weights):
    torch.save({name: tensor for name, tensor in weights.items() if not name.startswith('backbone.stages.2.2')}, path)


class TestBadFiles:
    """One kind in each command; tests/weights has every kind."""

    @pytest.fixture
    def fails(self, detector, command, tmp_path):
        """Run a command with a bad file, and return the one line that it ends in."""

        def run(spoil, *arguments):
            path = tmp_path / 'bad.pth'
            spoil(path, detector.checkpoint.read_bytes(), torch.load(detector.checkpoint)['state_dict'])
            result = command(*arguments)
            assert result.status == 2, result.err[-3000:]
            assert 'Traceback' not in result.err
            return result.error

        return run

    def test_code_in_test(self, fails, code, tmp_path):
        def spoil(path, whole, weights):
            torch.save({'state_dict': code(tmp_path / 'ran')}, path)

        assert 'which could run code' in fails(spoil, 'test', DETECTOR, tmp_path / 'bad.pth')
        assert not (tmp_path / 'ran').exists()

    def test_a_wrong_arch_in_train_by_init_cfg(self, fails, tmp_path):
        config = tmp_path / 'config.py'
        init_cfg = f"dict(_delete_=True, type='Pretrained', checkpoint='{tmp_path / 'bad.pth'}')"
        config.write_text(f"_base_ = ['{DETECTOR}']\nmodel = dict(backbone=dict(init_cfg={init_cfg}))\n")
        message = fails(wrong_arch, 'train', config, '--work-dir', tmp_path / 'work')
        assert "set arch={'depths': [1, 1, 2, 1]" in message

    def test_a_wrong_shape_in_train_by_load_from(self, fails, tmp_path):
        load_from = f'load_from={tmp_path / "bad.pth"}'
        arguments = ['train', DETECTOR, '--work-dir', tmp_path / 'work', '--cfg-options', load_from]
        assert 'the shapes differ of downsample_layers.0.0.weight' in fails(one_tensor_of_wrong_shape, *arguments)

    def test_half_a_file_in_convert(self, fails, tmp_path):
        new = tmp_path / 'new.pth'
        assert 'is cut short' in fails(cut_short, 'weights', 'convert', tmp_path / 'bad.pth', new)
        assert not new.exists()


class TestInspect:
    def test_says_what_a_file_is_and_what_would_load(self, detector, command):
        result = command('weights', 'inspect', detector.checkpoint, '--config', DETECTOR)
        assert result.status == 0, result.err[-3000:]
        for part in (
            "arch={'depths': [1, 1, 3, 1], 'channels': [32, 64, 128, 128]}",
            "official layout, below 'state_dict.backbone.'; float32",
            'neck (',
            'by init_cfg  the backbone would load',
            '46 of 46 tensors of the rest of the model would load',
        ):
            assert part in result.out
        assert re.search(r'matched +(\d+) of \1 tensors', result.out)

    def test_says_what_would_not_load(self, detector):
        cfg = load_config(str(DETECTOR))
        cfg.model.backbone.arch = 'tiny'
        init_default_scope(cfg.default_scope)
        inspection = inspect_checkpoint(str(detector.checkpoint), cfg.model)
        assert 'the backbone would not load' in inspection.text
        assert "set arch={'depths': [1, 1, 3, 1]" in inspection.problem

    def test_lists_the_published_names(self):
        (line,) = (line for line in published_table().splitlines() if line.startswith('convnextv2_atto_fcmae '))
        assert 'CC-BY-NC-4.0' in line
        assert line.endswith('pt_only/convnextv2_atto_1k_224_fcmae.pt')
