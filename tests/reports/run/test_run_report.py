"""The page on finished runs."""

import json
import re
from unittest import mock

import numpy as np
import pytest
from helpers import run_folders
from helpers.commands import run_command

from convnext_dense.apis.reporting import pages
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.recording.record import RECORD_FILE, read_record
from convnext_dense.reports.run.curves import readable_range
from convnext_dense.reports.run.finished_run import FACTS_FILE, find_runs, groups_of, read_runs
from convnext_dense.reports.run.logged import read_curves


@pytest.fixture
def run(tmp_path):
    return run_folders.finished(tmp_path / 'run')


def page_of(run):
    return pages.report([run]).read_text()


class TestRunPage:
    def test_a_detectors_errors_and_images_are_on_it(self, run):
        run_folders.detector_record(run)
        page = page_of(run)
        for title in ('Scores', 'Curves', 'Types of errors', 'Precision and recall', 'Confusion', 'Worst images'):
            assert f'>{title}<' in page
        # 0.4 in the log.
        assert '<td>coco/bbox_mAP, %</td><td>40</td>' in page
        assert 'coco/bbox_mAP, %</text>' in page
        assert page.count('src="data:image/jpeg') >= 4

    def test_a_segmenters_errors_are_on_it(self, run):
        run_folders.segmenter_record(run)
        page = page_of(run)
        # 90 of 100 and 50 of 60 pixels.
        assert '90.0' in page
        assert '83.3' in page
        assert 'the image is no longer at' in page

    def test_it_needs_no_network_and_no_script(self, run):
        run_folders.detector_record(run)
        page = page_of(run)
        assert '<script' not in page
        assert not re.findall(r'(?:src|data)="http|<link|url\(http|@import', page)

    def test_without_a_record_it_says_so(self, run):
        assert 'has no record of a validation' in page_of(run)

    def test_names_from_strangers_are_text(self, run):
        record = run_folders.detector_record(run)
        record.classes[0] = '<script>alert(1)</script>'
        run_folders.save_record(record, run / RECORD_FILE)
        (run / FACTS_FILE).write_text(json.dumps(dict(command='<script>', environment={'a': '<script>'})))
        assert '<script' not in page_of(run)

    def test_what_was_noted_of_the_run_is_on_it(self, run):
        facts = dict(command='convnext-dense train x', differences=[['lr', '0.1', '0.2']], bases=['base.py'])
        (run / FACTS_FILE).write_text(json.dumps(facts))
        page = page_of(run)
        assert all(text in page for text in ('convnext-dense train x', '0.2', 'base.py'))


class TestSeveralRuns:
    def test_seeds_of_a_recipe_are_a_group(self, tmp_path):
        for seed in (0, 1):
            run_folders.finished(tmp_path / 'a' / f'seed-{seed}', seed)
        run_folders.finished(tmp_path / 'b')
        (tmp_path / 'b' / 'config.py').write_text('model = dict(depth=101)')
        groups = groups_of(read_runs(find_runs([tmp_path])))
        assert {name: len(members) for name, members in groups.items()} == {'a, 2 seeds': 2, 'b': 1}

    def test_what_is_inside_of_a_run_is_no_run(self, run):
        run_folders.log(run / 'evaluation', '1', run_folders.train_row(1, 1.0))
        assert find_runs([run]) == find_runs([run.parent]) == [run]

    def test_the_spread_of_seeds_is_shown(self, tmp_path):
        for seed, score in ((0, 0.4), (1, 0.6)):
            run_folders.finished(tmp_path / f'seed-{seed}', seed, score)
        assert '50 (40 to 60)' in pages.report([tmp_path]).read_text()


class TestReadCurves:
    def test_a_resumed_part_replaces_what_it_did_again(self, tmp_path):
        rows = [run_folders.train_row(step, 1.0) for step in (1, 2, 3)]
        run_folders.log(tmp_path, '1', *rows, {'mIoU': 30.0, 'step': 3})
        run_folders.log(
            tmp_path, '2', *[run_folders.train_row(step, 0.5) for step in (3, 4)], {'mIoU': 40.0, 'step': 4}
        )
        training, validation = read_curves(tmp_path)
        assert training['loss'] == {1: 1.0, 2: 1.0, 3: 0.5, 4: 0.5}
        assert validation['mIoU'] == {4: 40.0}

    def test_a_validation_between_two_logs_has_its_own_step(self, tmp_path):
        rows = [{'iter': step, 'step': step, 'loss': 1.0} for step in (25, 50)]
        run_folders.log(tmp_path, '1', rows[0], {'mIoU': 30.0, 'step': 30}, rows[1], {'mIoU': 40.0, 'step': 60})
        assert read_curves(tmp_path)[1]['mIoU'] == {30: 30.0, 60: 40.0}

    def test_a_validation_of_an_epoch_has_its_own_step(self, tmp_path):
        rows = [{'iter': step, 'step': step, 'epoch': 1, 'loss': 1.0} for step in (25, 50)]
        run_folders.log(tmp_path, '1', rows[0], {'mIoU': 30.0, 'step': 30}, rows[1], {'mIoU': 40.0, 'step': 60})
        assert read_curves(tmp_path)[1]['mIoU'] == {30: 30.0, 60: 40.0}

    def test_a_score_that_was_logged_by_epoch_has_the_last_step(self, tmp_path):
        rows = [{'iter': step, 'step': step, 'epoch': 1, 'loss': 1.0} for step in (25, 50)]
        run_folders.log(tmp_path, '1', rows[0], {'mIoU': 30.0, 'step': 1}, rows[1], {'mIoU': 40.0, 'step': 2})
        assert read_curves(tmp_path)[1]['mIoU'] == {25: 30.0, 50: 40.0}

    def test_a_run_that_logged_no_step_has_its_validations(self, tmp_path):
        run_folders.log(tmp_path, '1', {'mIoU': 30.0, 'step': 3})
        assert read_curves(tmp_path) == ({}, {'mIoU': {3: 30.0}})

    def test_the_half_line_of_a_killed_run_is_left_out(self, tmp_path):
        file = run_folders.log(tmp_path, '1', run_folders.train_row(1, 1.0)) / '1' / 'vis_data' / 'scalars.json'
        file.write_text(file.read_text() + '\n{"loss": 0.')
        assert read_curves(tmp_path)[0]['loss'] == {1: 1.0}


class TestReadableRange:
    def test_a_spike_is_cut_off_and_said(self, run):
        norms = [5.0, 6.0, 4.0, 5.5, 4.5, 5.2, 4.8, 90000.0, 5.1, 4.9]
        run_folders.log(run, '20260102', *[dict(grad_norm=norm, iter=i, step=i) for i, norm in enumerate(norms, 3)])
        assert 'step (1 value cut off, up to 9e+04)' in page_of(run)

    def test_a_loss_that_falls_is_whole(self):
        assert readable_range([10 * 0.8**step for step in range(20)]) is None

    @pytest.mark.parametrize('values', [[], [1.0], [2.0] * 9, [float('nan')] * 3, [0.0] * 9 + [1.0]])
    def test_what_has_no_middle_is_whole(self, values):
        assert readable_range(values) is None

    def test_infinite_values_are_left_out(self):
        assert readable_range([4.0, 5.0, 6.0, float('inf')]) is None


class TestRecords:
    def test_what_is_saved_is_read(self, run):
        record = run_folders.detector_record(run)
        read = read_record(run)
        assert read.shown == record.shown
        assert (read.truth.box == record.truth.box).all()
        maps = run_folders.segmenter_record(run).shown[0].maps
        assert all(map(np.array_equal, read_record(run).shown[0].maps, maps))

    @pytest.mark.parametrize('content', [b'', b'PK\x03\x04', b'\x80\x04K\x01.'])
    def test_a_damaged_file_is_named(self, run, content):
        (run / RECORD_FILE).write_bytes(content)
        with pytest.raises(UsageError, match='is no record of a validation'):
            pages.report([run])


class TestReportCommand:
    def test_says_where_the_page_is(self, run):
        result = run_command(run.parent, 'report', 'run')
        assert result.out == 'Report: run/report.html\n'

    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (['nothing'], 'there is no folder nothing'),
            (['.'], '. holds no run'),
            (['run', '--out', 'run'], '--out: run is a folder'),
            (['run', '--evaluate'], '--evaluate: '),
        ],
    )
    def test_a_mistake_is_one_sentence(self, run, arguments, message):
        folder = run if arguments == ['.'] else run.parent
        if arguments == ['.']:
            (run / '20260101_000000').rename(run.parent / 'elsewhere')
        result = run_command(folder, 'report', *arguments)
        assert result.status == 2
        assert message in result.error

    def test_what_goes_wrong_at_the_end_of_a_run_is_logged_and_no_more(self, tmp_path):
        with mock.patch.object(pages, 'print_log') as log:
            pages.report_finished_run(tmp_path / 'nothing')
        assert 'it could not be written: UsageError: runs: there is no folder' in log.call_args.args[0]
