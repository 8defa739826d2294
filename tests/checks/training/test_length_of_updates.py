"""Updates that take more steps than there are, and validations too few to end a run early."""

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER

from convnext_dense.checks import RunPlan
from convnext_dense.checks.training.length import find_length_faults
from convnext_dense.config import load_config


def findings(config, **arguments):
    return list(find_length_faults(RunPlan(load_config(str(config), **arguments), ('train', 'val'))))


@pytest.fixture(autouse=True)
def _in_the_folder_of_the_data(demo_data, monkeypatch):
    # 16 images to train with.
    monkeypatch.chdir(demo_data)


class TestAccumulation:
    @pytest.mark.parametrize('config', [DETECTOR, SEGMENTER])
    def test_over_more_steps_than_an_epoch_is_an_error(self, config):
        error = next(finding for finding in findings(config, accumulate=5, batch_size=4) if finding.is_error)
        assert error.sentence == (
            'accumulate (optim_wrapper.accumulative_counts): an update would take 5 steps, and an epoch has 4; '
            'accumulate 4 at most.'
        )

    def test_over_an_epoch_is_none(self):
        assert not [found for found in findings(DETECTOR, accumulate=4, batch_size=4) if found.is_error]

    def test_that_leaves_few_updates_is_a_warning(self):
        sentences = [found.sentence for found in findings(DETECTOR, accumulate=4, batch_size=2, epochs=50)]
        assert (
            'train_cfg: the run has 400 steps, 50 epochs of 8, with 16 images, and updates the weights 100 times; that '
            'is hardly a training. Give more epochs, such as epochs 500.'
        ) in sentences


class TestPatience:
    @pytest.mark.parametrize(('patience', 'ends'), [(3, False), (2, True)])
    def test_of_as_many_validations_as_the_run_has_is_a_warning(self, patience, ends):
        options = {'train_cfg.val_interval': 1, 'train_cfg.max_epochs': 3}
        sentences = [found.sentence for found in findings(DETECTOR, patience=patience, cfg_options=options)]
        found = [sentence for sentence in sentences if 'patience' in sentence]
        assert found == (
            []
            if ends
            else [
                'patience (custom_hooks.0.patience): it is 3, and the run has 3 validations, so it never ends early; '
                'give a smaller one, or validate more often by train_cfg.val_interval.'
            ]
        )
