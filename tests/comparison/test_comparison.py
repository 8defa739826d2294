"""The comparison of backbones, with a training that only writes what one would have cost."""

import functools
import json
import os
import re
import signal
import sys
import threading

import pytest
from filelock import FileLock

import convnext_dense.apis.launching.processes as launch
import convnext_dense.comparison.compare as comparison
from convnext_dense.comparison.compare import compare_backbones
from convnext_dense.comparison.report import comparison_table
from convnext_dense.errors import RunError, UsageError
from convnext_dense.hooks.training_cost_hook import TRAINING_COST_FILE

CONFIG = 'mask-rcnn_convnext-demo_fpn_demo-coco'
BACKBONES = ['convnext_atto', 'timm/resnet10t', 'timm/vit_tiny_patch16_224(depth=1)']


def pretend_to_train(runs: list, run, gpus: int, skip_check=()) -> None:
    """Write what a training would have cost; each run scores a point more than the one before."""
    runs.append(run)
    score = 0.3 + len(runs) / 100
    cost = dict(
        metrics={'coco/bbox_mAP': score, 'coco/segm_mAP': score - 0.02, 'coco/bbox_mAP_50': 0.9},
        seconds=60.0 * len(runs),
        images_per_second=10.0 * len(runs),
        peak_memory=len(runs) * 2**30,
        iterations=100,
        device='cpu',
        processes=1,
    )
    (run.folder / TRAINING_COST_FILE).write_text(json.dumps(cost))


@pytest.fixture
def trained(monkeypatch, demo_data):
    """The runs that were trained, in order."""
    runs = []
    monkeypatch.setattr(comparison, '_train', functools.partial(pretend_to_train, runs))
    monkeypatch.chdir(demo_data)
    return runs


def compare(work_dir, backbones=BACKBONES, **options):
    options = dict(pretrained=False, shape=(128, 128)) | options
    return compare_backbones(CONFIG, backbones, work_dir, **options)


class TestReport:
    @pytest.fixture(scope='class')
    def folder(self, demo_data, tmp_path_factory):
        folder = tmp_path_factory.mktemp('comparison')
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(comparison, '_train', functools.partial(pretend_to_train, []))
            patch.chdir(demo_data)
            compare(folder, seeds=(0, 1), command='convnext-dense compare <config>')
        return folder

    def test_the_table_has_a_row_for_each_backbone(self, folder):
        rows = [re.split(r'  +', line.strip()) for line in comparison_table(folder).splitlines()]
        assert rows[0][:3] == ['backbone', 'box AP', 'mask AP']
        assert [row[0] for row in rows[1:]] == BACKBONES
        # The mean of 31 and 32 and their deviation; the medians of speed and time; the larger memory.
        assert rows[1][1:3] == ['31.5 ± 0.7', '29.5 ± 0.7']
        assert rows[1][5:] == ['15.0', '2048', '1.5']

    def test_parameters_and_multiply_adds_are_counted(self, folder):
        rows = json.loads((folder / 'comparison.json').read_text())['rows']
        assert rows[0]['params'] == 4202884
        assert rows[0]['flops'] == 1363728640

    def test_the_page_needs_no_network_and_runs_no_script(self, folder):
        page = (folder / 'comparison.html').read_text()
        linked = set(re.findall(r'(?:src|href)\s*=\s*["\']([^"\']*)', page))
        assert {place for place in linked if not place.startswith('#')} == {'report.html'}
        assert '<script' not in page
        assert '@import' not in page
        assert page.count('<svg') == 1
        # Drawn in the page's own color of text, on its own background.
        assert 'currentColor' in page and '#ffffff' not in page and '#000000' not in page
        assert (folder / 'comparison.png').read_bytes().startswith(b'\x89PNG')

    def test_the_page_says_what_was_held_fixed_and_what_differs(self, folder):
        page = (folder / 'comparison.html').read_text()
        for text in ('AdamW', 'lr=0.002', '2 epochs', 'Seeds</dt><dd>0, 1', '&lt;config&gt;', 'data/demo/coco/'):
            assert text in page
        different = re.search(r'identical, except ([^<]*)', page)[1].split(', ')
        assert different == [
            *('model.backbone', 'model.data_preprocessor.mean', 'model.data_preprocessor.std'),
            'model.neck.in_channels',
        ]
        assert '1.0 layer_wise' in page
        assert 'none, from scratch' in page


class TestResuming:
    def test_what_is_done_is_not_trained_again(self, trained, tmp_path):
        compare(tmp_path, BACKBONES[:1])
        compare(tmp_path, BACKBONES[:2])
        assert [run.backbone for run in trained] == BACKBONES[:2]

    def test_a_failure_stops_no_other_run(self, trained, tmp_path, monkeypatch):
        train = comparison._train

        def fail(run, gpus, skip_check):
            if run.seed == 1 and run.backbone == BACKBONES[0]:
                raise RunError('train stopped with status 1\nthe log\nerror: training diverged: loss is nan.\n')
            train(run, gpus)

        monkeypatch.setattr(comparison, '_train', fail)
        with pytest.raises(RunError) as raised:
            compare(tmp_path, BACKBONES[:2], seeds=(0, 1, 2))
        assert str(raised.value) == (
            '1 of 6 runs failed. convnext_atto, seed 1: training diverged: loss is nan. '
            'The same command tries again what has no result.'
        )
        failed, other = (re.split(r'  +', line.strip()) for line in comparison_table(tmp_path).splitlines()[1:])
        assert failed[1] == '31.5 ± 0.7 (2 of 3 seeds; 1 diverged)'
        assert other[1] == '34.0 ± 1.0'
        page = (tmp_path / 'comparison.html').read_text()
        assert 'Diverged: convnext_atto, seed 1.</b> training diverged: loss is nan.' in page
        rows = json.loads((tmp_path / 'comparison.json').read_text())['rows']
        assert rows[0]['failures'] == {'1': 'training diverged: loss is nan.'}
        monkeypatch.setattr(comparison, '_train', train)
        compare(tmp_path, BACKBONES[:2], seeds=(0, 1, 2))
        assert len(trained) == 6

    def test_a_run_that_left_out_steps_says_so(self, trained, tmp_path, monkeypatch):
        def train(run, gpus, skip_check):
            pretend_to_train(trained, run, gpus)
            file = run.folder / TRAINING_COST_FILE
            file.write_text(json.dumps(json.loads(file.read_text()) | dict(skipped_steps=run.seed)))

        monkeypatch.setattr(comparison, '_train', train)
        compare(tmp_path, BACKBONES[:1], seeds=(0, 1))
        page = (tmp_path / 'comparison.html').read_text()
        assert page.count(' left out</b>') == 1
        assert 'convnext_atto, seed 1: 1 step of ' in page

    def test_all_that_fail_are_named(self, trained, tmp_path, monkeypatch):
        def fail(run, gpus, skip_check):
            raise RunError('no luck.')

        monkeypatch.setattr(comparison, '_train', fail)
        with pytest.raises(
            RunError, match=r'2 of 2 runs failed\. convnext_atto, seed 0: no luck\. convnext_atto, seed 1'
        ):
            compare(tmp_path, BACKBONES[:1], seeds=(0, 1))
        assert '0 of 2 runs are done' in (tmp_path / 'comparison.html').read_text()

    @pytest.mark.parametrize('metrics', [{}, {'coco/bbox_mAP': float('nan')}], ids=['none', 'nan'])
    def test_a_run_without_a_score_has_failed(self, trained, tmp_path, monkeypatch, metrics):
        def train(run, gpus, skip_check):
            pretend_to_train(trained, run, gpus)
            if run.seed == 0:
                file = run.folder / TRAINING_COST_FILE
                file.write_text(json.dumps(json.loads(file.read_text()) | dict(metrics=metrics)))

        monkeypatch.setattr(comparison, '_train', train)
        with pytest.raises(RunError, match='convnext_atto, seed 0: its last validation has no score'):
            compare(tmp_path, BACKBONES[:1], seeds=(0, 1))
        assert '32.0 (1 of 2 seeds)' in comparison_table(tmp_path)

    def test_a_schedule_that_cannot_be_right_starts_nothing(self, trained, tmp_path):
        options = {'train_cfg.max_epochs': 0}
        with pytest.raises(UsageError, match=r'train_cfg\.max_epochs: it is 0; it must be a whole number'):
            compare(tmp_path, BACKBONES[:1], cfg_options=options)
        assert not trained
        compare(tmp_path, BACKBONES[:1], cfg_options=options, skip_check=['schedule'])
        assert trained

    @pytest.mark.parametrize('options', [dict(cfg_options={'optim_wrapper.optimizer.lr': 0.1}), dict(gpus=2)])
    def test_runs_of_another_recipe_are_an_error(self, trained, tmp_path, options):
        compare(tmp_path, BACKBONES[:1])
        with pytest.raises(UsageError, match='holds a run of another recipe'):
            compare(tmp_path, BACKBONES[:1], **options)


class TestStopping:
    def test_ends_the_training_too(self, monkeypatch, demo_data, tmp_path):
        monkeypatch.chdir(demo_data)
        started = []
        popen = launch.subprocess.Popen

        def start(command, **options):
            # A training that does not end by itself, and what a scheduler sends to the comparison alone.
            started.append(popen([sys.executable, '-c', 'import time; time.sleep(600)'], **options))
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
            return started[-1]

        monkeypatch.setattr(launch.subprocess, 'Popen', start)
        with pytest.raises(KeyboardInterrupt):
            compare(tmp_path / 'work', BACKBONES[:1])
        assert started[0].poll() is not None

    def test_two_comparisons_do_not_share_a_work_dir(self, trained, tmp_path):
        with FileLock(tmp_path / '.lock'), pytest.raises(UsageError, match='another comparison is running'):
            compare(tmp_path, BACKBONES[:1])


class TestTheRuns:
    def test_have_the_same_recipe_and_their_own_seed(self, trained, tmp_path):
        compare(tmp_path, BACKBONES[:2], seeds=(3, 4))
        assert [run.cfg.randomness.seed for run in trained] == [3, 4, 3, 4]
        recipes = {
            str((run.cfg.optim_wrapper.optimizer, run.cfg.param_scheduler, run.cfg.train_cfg, run.cfg.train_dataloader))
            for run in trained
        }
        assert len(recipes) == 1
        assert len({run.folder for run in trained}) == 4

    def test_need_no_flops_to_be_counted(self, trained, tmp_path, monkeypatch):
        def refuse(cfg, shape):
            raise UsageError('the multiply-adds cannot be counted')

        monkeypatch.setattr(comparison, 'measure_complexity', refuse)
        compare(tmp_path, BACKBONES[:1])
        row = comparison_table(tmp_path).splitlines()[1].split()
        assert row[3:5] == ['4.2', '-']

    def test_have_different_seeds(self, trained, tmp_path):
        with pytest.raises(UsageError, match='seeds: 0 is named twice'):
            compare(tmp_path, BACKBONES[:1], seeds=(0, 0))

    @pytest.mark.parametrize(
        ('backbones', 'message'),
        [
            (['convnext_atto', 'convnext_atto'], 'convnext_atto is named twice'),
            (['convnext_atto', 'timm/resnet5o'], "no model 'resnet5o'"),
            (
                ['convnext_atto', 'timm/resnet10t(init_cfg=dict(type="Pretrained", checkpoint="nowhere.pth"))'],
                'no checkpoint file nowhere.pth',
            ),
        ],
    )
    def test_are_checked_before_any_is_trained(self, trained, tmp_path, backbones, message):
        with pytest.raises(UsageError, match=message):
            compare(tmp_path, backbones)
        assert not trained
