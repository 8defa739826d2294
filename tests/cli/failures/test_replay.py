"""Steps that are not finite, in runs of the demo models, and the command that makes them again."""

import pytest
import torch
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options
from helpers.planted.bad_steps import infinite_gradient, nan_pixel

from convnext_dense.training.steps import update_guard
from convnext_dense.training.steps.recorded_step import read_step

TASKS = {'det': (DETECTOR, detector_options(1)), 'seg': (SEGMENTER, segmenter_options(4))}
NAME = 'non_finite_step_3.pt'


@pytest.fixture
def run(command, tmp_path):
    """Train the demo model of a task for four steps."""

    def train(task, *options):
        config, few = TASKS[task]
        return command('train', config, '--work-dir', tmp_path, '--cfg-options', *few, *options)

    return train


@pytest.fixture
def no_finite_gradient(monkeypatch):
    """Take the gradients of the third step for infinite, whatever they are."""
    steps = []

    def are_finite(tensors):
        steps.append(len(tensors))
        return len(steps) != 3

    monkeypatch.setattr(update_guard, 'are_finite', are_finite)
    return lambda: monkeypatch.setattr(update_guard, 'are_finite', lambda tensors: False)


class TestReplay:
    @pytest.mark.parametrize('task', [pytest.param('det', marks=pytest.mark.full), 'seg'])
    def test_makes_a_step_with_a_nan_image_again(self, task, run, command, tmp_path):
        with nan_pixel():
            result = run(task)
        assert result.status == 0
        step = read_step(tmp_path / NAME)
        assert len(step.images) == 4
        assert f'image {step.images[1]}, whose pixels are not finite;' in result.out
        weights = torch.load(max(tmp_path.glob('*_4.pth'), default=tmp_path / 'epoch_1.pth'))['state_dict']
        assert all(tensor.isfinite().all() for tensor in weights.values())
        replayed = command('replay', tmp_path / NAME)
        assert replayed.status == 0, replayed.err
        assert 'that of data_preprocessor' in replayed.out
        assert 'and its input is not finite either' in replayed.out
        assert f'{len(step.losses)} of {len(step.losses)} losses are the recorded ones bit for bit' in replayed.out

    @pytest.mark.parametrize('task', TASKS)
    def test_gives_each_bit_and_says_if_it_does_not(self, task, run, command, tmp_path, no_finite_gradient):
        assert run(task).status == 0
        no_finite_gradient()
        step = read_step(tmp_path / NAME)
        assert len(set(step.losses.values())) == len(step.losses)
        replayed = command('replay', tmp_path / NAME)
        assert replayed.status == 0, replayed.err
        assert (
            f'{len(step.losses)} of {len(step.losses)} losses are the recorded ones bit for bit, and so are the '
            in (replayed.out)
        )
        if task == 'seg':
            # It draws nothing.
            return
        step.rng['torch'] = torch.Generator().manual_seed(7).get_state()
        step.write(tmp_path / 'other.pt')
        other = command('replay', tmp_path / 'other.pt')
        assert other.status == 1
        assert 'error: the step is not the same: loss' in other.err
        assert 'differ from the recorded ones' in other.out


class TestInfiniteGradient:
    def test_names_the_parameter_and_its_group(self, run, tmp_path):
        with infinite_gradient('decode_head.conv_seg.bias'):
            result = run('seg', 'optim_wrapper.clip_grad.max_norm=1.0')
        assert result.status == 0
        assert (
            'the outputs of all modules are finite; the gradients of 1 of 121 parameters are not finite, in parameter '
            'group layer_7_no_decay (decode_head.conv_seg.bias).'
        ) in result.out


class TestMistakes:
    def test_a_file_that_is_missing(self, command, tmp_path):
        result = command('replay', tmp_path / 'nothing.pt')
        assert result.status == 2
        assert 'there is no checkpoint file' in result.error

    def test_a_checkpoint(self, command, tmp_path):
        torch.save(dict(state_dict={}), tmp_path / 'epoch_1.pth')
        result = command('replay', tmp_path / 'epoch_1.pth')
        assert result.status == 2
        assert result.error.endswith(
            'epoch_1.pth is no recorded step; a run writes one when a loss or gradient is not finite.'
        )
