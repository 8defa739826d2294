"""`--ema`, `--save-best`, `--patience` and `--accumulate`, as a user gives them."""

import json

import pytest
import torch
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options
from helpers.toy_runs import toy_runner

# No score is so much better than the first.
STUCK = 'custom_hooks.0.min_delta=200'


def scores(work_dir, metric):
    """Return the validations that a run logged, by step."""
    lines = next(work_dir.glob('*/vis_data/scalars.json')).read_text().splitlines()
    return {record['step']: record[metric] for line in lines if metric in (record := json.loads(line))}


class TestPatience:
    def test_ends_a_run_by_steps_and_saves_where_it_ended(self, command, tmp_path):
        options = [*segmenter_options(12), 'train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=100', STUCK]
        result = command('train', SEGMENTER, '--work-dir', tmp_path, '--patience', 2, '--cfg-options', *options)
        assert result.status == 0, result.err[-3000:]
        assert 'after 2 evaluations without mIoU better by 200' in result.out
        assert list(scores(tmp_path, 'mIoU')) == [2, 4, 6]
        names = sorted(file.name for file in tmp_path.glob('*.pth'))
        assert len(names) == 2 and names[0].startswith('best_mIoU_iter_') and names[1] == 'iter_6.pth'
        assert torch.load(tmp_path / 'iter_6.pth', weights_only=False)['meta']['iter'] == 6
        # Such a config has no loop of training in a test.
        config = tmp_path / SEGMENTER.name
        result = command('test', config, tmp_path / 'iter_6.pth', '--work-dir', tmp_path / 'test')
        assert result.status == 0, result.err[-3000:]

    @pytest.mark.full
    def test_ends_a_run_by_epochs(self, command, tmp_path):
        train = ['train', DETECTOR, '--work-dir', tmp_path, '--patience', 1, '--save-best', 'bbox_mAP']
        result = command(*train, '--cfg-options', *detector_options(4), STUCK)
        assert result.status == 0, result.err[-3000:]
        assert list(scores(tmp_path, 'coco/bbox_mAP')) == [4, 8]
        assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_2.pth')


class TestEmaWithSaveBest:
    @pytest.fixture(scope='class')
    def averaged(self, train):
        """The segmenter after six steps, whose average has been kept as the best."""
        options = [*segmenter_options(6), 'custom_hooks.0.momentum=0.5', 'custom_hooks.0.gamma=1']
        return train(SEGMENTER, options, 'best_mIoU_iter_6.pth', '--ema', '--save-best')

    def test_keeps_averaged_weights_and_those_they_are_of(self, averaged):
        best, last = (
            torch.load(file, weights_only=False) for file in (averaged.checkpoint, averaged.work_dir / 'iter_6.pth')
        )
        assert best['ema_state_dict']['steps'] == 6
        for content in (best, last):
            weights, raw = content['state_dict'], content['ema_state_dict']
            name = next(name for name in weights if name.endswith('weight'))
            assert not torch.equal(weights[name], raw[f'module.{name}'])
        assert all(torch.equal(best['state_dict'][name], last['state_dict'][name]) for name in best['state_dict'])

    def test_scores_in_a_test_what_the_validation_said(self, averaged, command, tmp_path, metrics):
        result = command('test', averaged.work_dir / SEGMENTER.name, averaged.checkpoint, '--work-dir', tmp_path)
        assert result.status == 0, result.err[-3000:]
        assert metrics(tmp_path)['mIoU'] == scores(averaged.work_dir, 'mIoU')[6]

    def test_is_said_before_the_run(self, averaged):
        assert 'MomentumAnnealingEMA of the weights, which is validated and saved' in averaged.result.out
        assert 'the checkpoint with the best mIoU is kept' in averaged.result.out


class TestAResumedAverage:
    def test_equals_that_of_a_run_that_was_not_stopped(self, tmp_path):
        average = dict(type='EMAHook', ema_type='MomentumAnnealingEMA', gamma=50, update_buffers=True)
        whole = toy_runner(tmp_path / 'run', [dict(average)])
        whole.train()
        resumed = toy_runner(tmp_path / 'resumed', [dict(average)])
        resumed._load_from, resumed._resume = str(tmp_path / 'run' / 'iter_2.pth'), True
        resumed.train()
        ends = [torch.load(tmp_path / name / 'iter_4.pth', weights_only=False) for name in ('run', 'resumed')]
        for key in ('state_dict', 'ema_state_dict'):
            assert ends[0][key].keys() == ends[1][key].keys()
            assert all(torch.equal(ends[0][key][name], ends[1][key][name]) for name in ends[0][key])


class TestAccumulate:
    def test_says_what_an_update_is_and_how_many_there_are(self, command, tmp_path):
        options = [option for option in segmenter_options(4) if 'batch_size' not in option]
        train = ['train', SEGMENTER, '--work-dir', tmp_path, '--accumulate', 2, '--batch-size', 2]
        result = command(*train, '--cfg-options', *options)
        assert result.status == 0, result.err[-3000:]
        assert '2 images x 2 accumulated steps = 4 an update' in result.out
        assert '4 steps, 2 updates' in result.out
        assert 'Detected call of' not in result.err

    def test_over_more_steps_than_an_epoch_has_does_not_start(self, command, tmp_path):
        result = command('train', DETECTOR, '--work-dir', tmp_path, '--accumulate', 100)
        assert result.status == 2
        assert 'an update would take 100 steps, and an epoch has' in result.error


class TestWrongValues:
    @pytest.mark.parametrize('flag', ['--accumulate', '--patience'])
    @pytest.mark.parametrize('value', ['0', '-1', 'x', '1.5', ''])
    def test_are_one_sentence_with_the_flag(self, command, flag, value):
        result = command('train', DETECTOR, f'{flag}={value}')
        assert result.status == 2
        assert result.error.startswith(f'error: argument {flag}: it must be a whole number of at least 1')

    def test_of_save_best_is_one_with_the_nearest_metric(self, command):
        result = command('train', DETECTOR, '--save-best', 'segm_map')
        assert result.error.startswith('error: --save-best: the val_evaluator reports no segm_map; its nearest metrics')

    @pytest.mark.parametrize('flag', ['--save-best', '--patience=3'])
    def test_without_a_validation_is_one(self, command, flag):
        none = [f'{key}=None' for key in ('val_cfg', 'val_dataloader', 'val_evaluator')]
        result = command('train', DETECTOR, flag, '--cfg-options', *none)
        assert result.status == 2
        assert f'error: {flag.partition("=")[0]}: the config has no val_dataloader and val_evaluator' in result.err
