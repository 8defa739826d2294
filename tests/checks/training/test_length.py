"""Lengths of a run that suit neither its schedule nor its data."""

import copy

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER

from convnext_dense.checks import RunPlan
from convnext_dense.checks.training.length import find_length_faults
from convnext_dense.config import load_config


@pytest.fixture(autouse=True)
def _in_the_folder_of_the_data(demo_data, monkeypatch):
    # 16 images to train with.
    monkeypatch.chdir(demo_data)


def sentences(config=DETECTOR, processes=1, **options) -> list[str]:
    cfg = load_config(str(config), cfg_options={key.replace('__', '.'): value for key, value in options.items()})
    cfg.num_processes = processes
    found = list(find_length_faults(RunPlan(cfg, ('train', 'val'))))
    assert not any(finding.is_error for finding in found)
    return [finding.sentence for finding in found]


STEPS = [dict(type='MultiStepLR', by_epoch=True, milestones=[27, 33], end=36)]
WARM_UP = [dict(type='LinearLR', by_epoch=False, begin=0, end=1000)]
FINE = dict(train_cfg__max_epochs=36, train_dataloader__batch_size=2, param_scheduler=STEPS)


class TestWarmUp:
    def test_longer_than_the_run_is_reported(self):
        assert sentences(**{**FINE, 'param_scheduler': WARM_UP}) == [
            'param_scheduler: warm-up of 1000 steps is longer than the run, which has 288; give epochs or iters, and '
            'it takes 20% at most.'
        ]

    def test_of_a_large_share_is_reported(self):
        warm_up = [dict(type='LinearLR', by_epoch=True, begin=0, end=9, convert_to_iter_based=True)]
        (sentence,) = sentences(**{**FINE, 'param_scheduler': warm_up})
        assert sentence.startswith('param_scheduler: warm-up of 72 steps takes 25% of the run, which has 288;')


class TestSchedule:
    def test_that_falls_after_the_end_is_reported(self):
        (sentence,) = sentences(**{**FINE, 'train_cfg__max_epochs': 30})
        assert sentence.startswith(
            'param_scheduler.0.milestones: 33 epochs are never reached, as the run ends after 30;'
        )

    def test_of_steps_that_ends_after_the_run_is_reported(self):
        sentence = sentences(SEGMENTER, train_cfg__max_iters=600)[0]
        assert sentence.startswith(
            'param_scheduler.1.end: the rate would be at its lowest after 1700 steps, and the run ends after 600;'
        )


class TestSmallData:
    def test_of_few_steps_is_reported_with_a_number_of_epochs(self):
        (sentence,) = sentences(**{**FINE, 'train_cfg__max_epochs': 12, 'param_scheduler': []})
        assert sentence == (
            'train_cfg: the run has 96 steps, 12 epochs of 8, with 16 images; that is hardly a training. Give more '
            'epochs, such as epochs 130.'
        )

    def test_of_short_epochs_is_reported(self):
        options = {**FINE, 'train_cfg__max_epochs': 300, 'param_scheduler': []}
        (sentence,) = sentences(processes=2, **options, optim_wrapper__accumulative_counts=1)
        assert sentence == (
            'batch_size (train_dataloader.batch_size): an epoch has 4 steps, with 16 images taken 4 at a time; a '
            'smaller batch_size makes more of them.'
        )

    def test_that_is_seen_once_is_reported(self):
        repeated = dict(_delete_=True, type='RepeatDataset', times=25)
        repeated['dataset'] = load_config(str(DETECTOR)).train_dataloader.dataset.to_dict()
        options = dict(train_cfg__max_epochs=1, train_dataloader__batch_size=1, param_scheduler=[])
        (sentence,) = sentences(**options, train_dataloader__dataset=repeated)
        assert sentence.startswith('train_cfg: each of 400 images is seen once; give more epochs, such as epochs')

    def test_of_less_than_a_batch_is_an_error(self):
        options = {'train_dataloader.batch_size': 32, 'train_dataloader.drop_last': True}
        options['train_dataloader.batch_sampler'] = None
        cfg = load_config(str(DETECTOR), cfg_options=options)
        finding = next(find_length_faults(RunPlan(cfg, ('train', 'val'))))
        assert finding.is_error
        assert finding.sentence.startswith('batch_size (train_dataloader.batch_size): the dataset has 16 samples, too')

    def test_of_a_batch_that_repeats_each_image_many_times_is_an_error(self):
        cfg = load_config(str(SEGMENTER), cfg_options={'train_dataloader.batch_size': 100_000})
        finding = next(find_length_faults(RunPlan(cfg, ('train', 'val'))))
        assert finding.is_error
        assert finding.sentence == (
            'batch_size (train_dataloader.batch_size): a batch of 100000 would hold each of 16 images 6250 times; give '
            '160 at most.'
        )
        cfg = load_config(str(SEGMENTER), cfg_options={'train_dataloader.batch_size': 160})
        assert not any(finding.is_error for finding in find_length_faults(RunPlan(cfg, ('train', 'val'))))


class TestWhatIsFine:
    def test_has_no_findings(self):
        assert sentences(**FINE) == []
        assert sentences(SEGMENTER) == []

    @pytest.mark.parametrize('options', [dict(epochs=40), dict(iters=300), dict(epochs=1000)])
    def test_is_a_length_that_was_asked_for(self, options):
        cfg = load_config(str(DETECTOR), cfg_options={'train_dataloader.batch_size': 2}, **options)
        assert list(find_length_faults(RunPlan(cfg, ('train', 'val')))) == []

    def test_is_a_test_without_training(self):
        assert list(find_length_faults(RunPlan(copy.deepcopy(load_config(str(DETECTOR))), ('test',)))) == []

    def test_is_data_that_is_not_there(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert sentences(train_cfg__max_epochs=1, param_scheduler=[]) == []
