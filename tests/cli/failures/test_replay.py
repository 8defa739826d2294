"""Steps that are not finite, in runs of the demo models, and the command that makes them again."""

import math

import pytest
import torch
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options

from convnext_dense.training.steps.recorded_step import read_step

TASKS = {'det': (DETECTOR, detector_options(1)), 'seg': (SEGMENTER, segmenter_options(4))}


@pytest.fixture
def nan_step(monkeypatch, command, tmp_path):
    """Run a task whose third batch has an image with a pixel that is NaN; return what the command printed."""
    from mmengine.runner import Runner

    call_hook = Runner.call_hook

    def plant(self, name, **kwargs):
        if name == 'before_train_iter' and self.iter == 2:
            images = kwargs['data_batch']['inputs']
            images[1] = images[1].float()
            images[1][0, 3, 3] = math.nan
        call_hook(self, name, **kwargs)

    monkeypatch.setattr(Runner, 'call_hook', plant)

    def run(task, *options):
        config, few = TASKS[task]
        return command('train', config, '--work-dir', tmp_path, '--cfg-options', *few, *options)

    return run


@pytest.mark.parametrize('task', TASKS)
class TestReplay:
    def test_makes_the_step_again_bit_for_bit(self, task, nan_step, command, tmp_path):
        result = nan_step(task)
        assert result.status == 0
        assert 'step 3 was left out: ' in result.out
        step = read_step(tmp_path / 'non_finite_step_3.pt')
        assert len(step.images) == 4
        assert f'image {step.images[1]}, whose pixels are not finite;' in result.out
        replayed = command('replay', tmp_path / 'non_finite_step_3.pt')
        assert replayed.status == 0, replayed.err
        assert 'that of data_preprocessor' in replayed.out
        assert 'and its input is not finite either' in replayed.out
        assert f'{len(step.losses)} of {len(step.losses)} losses are the recorded ones bit for bit' in replayed.out
        assert 'and so are the gradients of' in replayed.out
        weights = torch.load(max(tmp_path.glob('*.pth')), weights_only=True)['state_dict']
        assert all(tensor.isfinite().all() for tensor in weights.values())
