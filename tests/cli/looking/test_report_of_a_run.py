"""The report that a training ends with."""

import os

import pytest
from helpers.commands import run_command
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options

from convnext_dense.evaluation.recording.record import RECORD_FILE

RUNS = [(DETECTOR, detector_options(1), 'Types of errors'), (SEGMENTER, segmenter_options(2), 'IoU by class')]


class TestReportOfARun:
    @pytest.mark.parametrize(('config', 'options', 'errors'), RUNS, ids=['detector', 'segmenter'])
    def test_a_training_ends_with_it(self, demo_data, tmp_path, config, options, errors):
        arguments = ['train', config, '--work-dir', tmp_path, '--cfg-options', *options]
        result = run_command(demo_data, *arguments, report=True)
        assert result.status == 0, result.err[-3000:]
        assert f'report: {os.path.relpath(tmp_path / "report.html", demo_data)}' in result.out
        page = (tmp_path / 'report.html').read_text()
        # Scores, errors, images, what differs from the bases, packages, classes.
        for part in (errors, 'Predictions', 'src="data:image', 'train_cfg.val_interval', 'mmdet', 'star'):
            assert part in page

    def test_evaluate_makes_up_for_a_missing_record(self, segmenter, demo_data):
        record = segmenter.work_dir / RECORD_FILE
        kept = record.read_bytes()
        record.unlink()
        result = run_command(demo_data, 'report', segmenter.work_dir, '--evaluate')
        assert result.status == 0, result.err[-3000:]
        page = (segmenter.work_dir / 'report.html').read_text()
        assert 'The validation of iter_4.pth, on 8 images.' in page
        assert record.is_file()
        record.write_bytes(kept)
