"""tools/train.py and tools/test.py, run as a user runs them."""

import json
import pickle
import re
import runpy
import shutil
import sys

import cv2
import numpy as np
import pytest
import torch
from helpers.demo_runs import DETECTOR, FEW_WORKERS, SEGMENTER, TEST, TRAIN, detector_options, segmenter_options
from mmengine.config import Config


def metrics(work_dir):
    return json.loads(max(work_dir.glob('*/*.json')).read_text())


class TestTraining:
    def test_a_detector_trains_and_is_evaluated(self, trained):
        assert 'coco/bbox_mAP' in trained['detector'].result.stdout
        assert trained['detector'].checkpoint.exists()

    def test_a_segmenter_trains_and_is_evaluated(self, trained):
        assert 'mIoU' in trained['segmenter'].result.stdout
        assert trained['segmenter'].checkpoint.exists()

    @pytest.mark.parametrize(
        ('task', 'options', 'goes_on_at'),
        [
            ('detector', detector_options(2), 'Epoch(train) [2][1/4]'),
            ('segmenter', segmenter_options(6), 'Iter(train) [5/6]'),
        ],
    )
    def test_resume_goes_on_where_it_stopped(self, trained, run_tool, tmp_path, task, options, goes_on_at):
        shutil.copytree(trained[task].work_dir, tmp_path / 'run')
        # The checkpoint names itself by its old place.
        checkpoint = tmp_path / 'run' / trained[task].checkpoint.name
        (tmp_path / 'run' / 'last_checkpoint').write_text(str(checkpoint))
        result = run_tool(
            TRAIN, trained[task].config, '--work-dir', tmp_path / 'run', '--resume', '--cfg-options', *options
        )
        assert result.returncode == 0, result.stderr[-3000:]
        assert 'resumed epoch' in result.stdout
        first_step = re.search(r'(?:Epoch|Iter)\(train\) +(?:\[[ \d/]+\])+', result.stdout)[0]
        assert first_step.replace(' ', '') == goes_on_at.replace(' ', '')

    def test_resume_from_a_named_checkpoint_restores_the_optimizer(self, trained):
        checkpoint = torch.load(trained['detector'].checkpoint)
        assert checkpoint['meta']['iter'] == 4
        assert checkpoint['optimizer']['state']
        assert checkpoint['message_hub']['log_scalars']['train/loss'].data[0].size == 4

    def test_the_work_dir_holds_a_config_for_any_machine_that_runs_again(self, trained, run_tool, tmp_path):
        dumped = trained['segmenter'].work_dir / SEGMENTER.name
        assert Config.fromfile(dumped).env_cfg.dist_cfg.backend == 'nccl'
        result = run_tool(TRAIN, dumped, '--work-dir', tmp_path, '--cfg-options', 'train_cfg.max_iters=1')
        assert result.returncode == 0, result.stderr[-3000:]

    def test_auto_scale_lr_scales_by_the_batch_size(self, run_tool, tmp_path):
        options = [*detector_options(1), 'auto_scale_lr.base_batch_size=2']
        result = run_tool(TRAIN, DETECTOR, '--work-dir', tmp_path, '--auto-scale-lr', '--cfg-options', *options)
        assert result.returncode == 0, result.stderr[-3000:]
        assert 'Scaling the original LR by 2.0' in result.stdout

    @pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
    def test_amp_without_a_gpu_trains_in_float32_and_says_so(self, run_tool, tmp_path):
        result = run_tool(TRAIN, SEGMENTER, '--work-dir', tmp_path, '--amp', '--cfg-options', *segmenter_options(1))
        assert result.returncode == 0, result.stderr[-3000:]
        assert 'training in float32' in result.stdout


class TestTesting:
    def test_a_detector_saves_predictions_and_pictures(self, trained, run_tool, tmp_path):
        out, pictures = tmp_path / 'out.pkl', tmp_path / 'pictures'
        result = run_tool(
            TEST, DETECTOR, trained['detector'].checkpoint, '--work-dir', tmp_path / 'test',
            '--out', out, '--show-dir', pictures, '--cfg-options', *FEW_WORKERS,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr[-3000:]
        predictions = pickle.loads(out.read_bytes())
        assert len(predictions) == 8
        assert {'bboxes', 'masks', 'scores', 'labels'} <= predictions[0]['pred_instances'].keys()
        assert len(list(pictures.glob('*.jpg'))) == 8
        assert {'coco/bbox_mAP', 'coco/segm_mAP'} <= metrics(tmp_path / 'test').keys()

    def test_a_segmenter_saves_predictions_and_pictures(self, trained, run_tool, tmp_path):
        out, pictures = tmp_path / 'out', tmp_path / 'pictures'
        result = run_tool(
            TEST, SEGMENTER, trained['segmenter'].checkpoint, '--work-dir', tmp_path / 'test',
            '--out', out, '--show-dir', pictures, '--cfg-options', *FEW_WORKERS,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr[-3000:]
        maps = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in out.glob('*.png')]
        assert len(maps) == 8
        # As ADE20K counts: 1 is the first class.
        assert {value for each in maps for value in np.unique(each)} <= set(range(1, 6))
        assert len(list(pictures.rglob('*.png'))) == 8
        assert 'mIoU' in metrics(tmp_path / 'test')

    @pytest.mark.parametrize(
        ('task', 'metric', 'keep_all'),
        [
            # A detector this little trained is sure of nothing, and masks come with boxes alone.
            ('detector', 'coco/bbox_mAP', ['model.test_cfg.rcnn.score_thr=0.0']),
            ('segmenter', 'mIoU', []),
        ],
    )
    def test_with_augmentation(self, trained, run_tool, tmp_path, task, metric, keep_all):
        result = run_tool(
            TEST, trained[task].config, trained[task].checkpoint, '--work-dir', tmp_path, '--tta',
            '--cfg-options', *FEW_WORKERS, 'test_dataloader.batch_size=1', *keep_all,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr[-3000:]
        assert metric in metrics(tmp_path)


class TestMistakes:
    """Found before a runner is built: the tools run in this process, which saves their imports."""

    @pytest.fixture
    def fails(self, demo_data, monkeypatch, capsys):
        def run(tool, *arguments):
            monkeypatch.chdir(demo_data)
            monkeypatch.setattr(sys, 'argv', [str(tool), *map(str, arguments)])
            with pytest.raises(SystemExit) as end:
                runpy.run_path(str(tool), run_name='__main__')
            assert end.value.code == 2
            return capsys.readouterr().err

        return run

    def test_no_such_config(self, fails):
        assert 'error: config: there is no file nowhere.py' in fails(TRAIN, 'nowhere.py')

    def test_a_config_with_a_syntax_error(self, fails, tmp_path):
        (tmp_path / 'bad.py').write_text('model = dict(')
        assert 'bad.py' in fails(TRAIN, tmp_path / 'bad.py')

    def test_a_config_without_a_model(self, fails, tmp_path):
        (tmp_path / 'part.py').write_text("default_scope = 'mmdet'\n")
        assert "has no 'model'" in fails(TRAIN, tmp_path / 'part.py')

    def test_no_data(self, fails, tmp_path):
        options = 'train_dataloader.dataset.data_root=/nowhere'
        message = fails(TRAIN, DETECTOR, '--work-dir', tmp_path, '--cfg-options', options)
        assert 'train_dataloader.dataset.data_root: there is no /nowhere' in message

    def test_no_such_checkpoint(self, fails, tmp_path):
        message = fails(TEST, DETECTOR, 'nowhere.pth', '--work-dir', tmp_path)
        assert 'checkpoint: there is no file nowhere.pth' in message
        message = fails(TRAIN, DETECTOR, '--resume', 'nowhere.pth', '--work-dir', tmp_path)
        assert '--resume: there is no file nowhere.pth' in message

    def test_published_weights_are_nothing_to_resume(self, fails, tmp_path):
        message = fails(TRAIN, DETECTOR, '--resume', 'convnext_tiny_in1k', '--work-dir', tmp_path)
        assert '--resume: there is no file convnext_tiny_in1k' in message

    def test_predictions_of_the_wrong_kind(self, trained, fails, tmp_path):
        message = fails(TEST, DETECTOR, trained['detector'].checkpoint, '--out', tmp_path / 'folder')
        assert 'a file ending in .pkl' in message
