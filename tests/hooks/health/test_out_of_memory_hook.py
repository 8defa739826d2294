"""What happens when a device's memory runs out in training."""

import copy
from unittest import mock

import pytest
import torch
from helpers.toy_runs import toy_runner
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import nn

from convnext_dense.hooks import OutOfMemoryHook
from convnext_dense.training.bf16_optim_wrapper import BFloat16OptimWrapper


class FullInBackward(torch.autograd.Function):
    """Runs out of memory in the backward pass, after the gradients of what follows are written."""

    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradients):
        raise torch.OutOfMemoryError('CUDA out of memory.')


class SmallDevice(BaseModel):
    """A model on a device whose memory holds `capacity` images at a time; it notes those that it has been shown."""

    def __init__(self, capacity, in_backward=False, full_from=0):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(2, 2), nn.Linear(2, 1)
        self.capacity, self.in_backward, self.full_from = capacity, in_backward, full_from
        self.steps = 0
        self.shown = []

    def forward(self, inputs, data_samples=None, mode='loss'):
        """Return the mean of the images' losses."""
        images = torch.stack(list(inputs)).float()
        is_full = len(images) > self.capacity and self.steps >= self.full_from
        self.steps += 1
        if is_full and not self.in_backward:
            raise torch.OutOfMemoryError('CUDA out of memory.')
        features = self.first(images)
        if is_full:
            features = FullInBackward.apply(features)
        else:
            self.shown += [int(image[0]) for image in images]
        return dict(loss=self.last(features).pow(2).mean())


class FullInFirstStep(torch.optim.SGD):
    """Runs out of memory where an optimizer makes its state."""

    is_full = True

    def step(self, closure=None):
        """Update the weights, except for the first time."""
        if self.is_full:
            self.is_full = False
            raise torch.OutOfMemoryError('CUDA out of memory.')
        return super().step(closure)


def train(tmp_path, model, size=4, images=8, optimizer=torch.optim.SGD, **options):
    """Train on images with their numbers as values; return the runner."""
    hook = OutOfMemoryHook()
    runner = toy_runner(tmp_path, [hook], **options)
    runner.model = model
    runner.optim_wrapper.optimizer = optimizer(model.parameters(), lr=1e-3)
    runner._train_dataloader = torch.utils.data.DataLoader(
        [dict(inputs=torch.tensor([i, 1.0]), data_samples=i) for i in range(images)],
        batch_size=size,
        collate_fn=lambda samples: {name: [sample[name] for sample in samples] for name in samples[0]},
    )
    runner.train()
    return runner


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class AmpOnCPU(AmpOptimWrapper):
    """mmengine's mixed precision with PyTorch's loss scaler for CPUs; mmengine asks for a GPU."""

    def __init__(self, optimizer, **arguments):
        with mock.patch('mmengine.optim.optimizer.amp_optimizer_wrapper.is_cuda_available', lambda: True):
            super().__init__(dtype='bfloat16', optimizer=optimizer, clip_grad=dict(max_norm=100.0), **arguments)
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=8.0)


FULL = pytest.mark.full
# Whether a run counts epochs, and over how many steps it accumulates; four are no multiple of three.
LOOPS = [
    (True, 1),
    (False, 3),
    *(pytest.param(*loop, marks=FULL) for loop in [(True, 2), (True, 3), (False, 1), (False, 2)]),
]
WRAPPERS = [OptimWrapper, AmpOnCPU, BFloat16OptimWrapper]


class TestTheFirstEpoch:
    @pytest.mark.parametrize('in_backward', [True, False])
    @pytest.mark.parametrize(('by_epoch', 'counts'), LOOPS)
    @pytest.mark.parametrize('wrapper', WRAPPERS)
    def test_trains_on_as_with_memory_enough(self, tmp_path, by_epoch, in_backward, counts, wrapper):
        options = dict(by_epoch=by_epoch, wrapper=wrapper, accumulative_counts=counts)
        # By steps there are four, of batches of 4 images each.
        images = 8 if by_epoch else 16
        expected, small = SmallDevice(99), SmallDevice(1, in_backward, full_from=1)
        runner = train(tmp_path / 'a', expected, images=images, **options)
        train(tmp_path / 'b', small, images=images, **options)
        tolerance = 1e-6 if wrapper is OptimWrapper else 2e-2
        torch.testing.assert_close(weights(small), weights(expected), rtol=tolerance, atol=tolerance)
        assert runner.iter == 4
        if not in_backward and counts == 1:
            assert small.shown == expected.shown
        assert set(small.shown) == set(range(images))

    @pytest.mark.parametrize('wrapper', WRAPPERS)
    def test_trains_on_if_the_optimizer_fills_the_memory(self, tmp_path, wrapper):
        expected, full = SmallDevice(99), SmallDevice(99)
        train(tmp_path / 'a', expected, by_epoch=True, wrapper=wrapper)
        train(tmp_path / 'b', full, by_epoch=True, wrapper=wrapper, optimizer=FullInFirstStep)
        torch.testing.assert_close(weights(full), weights(expected), rtol=2e-2, atol=2e-2)

    @pytest.mark.parametrize('size', [3, 5, 7])
    def test_counts_each_image_of_uneven_batches_alike(self, tmp_path, size):
        expected, small = SmallDevice(99), SmallDevice(2)
        train(tmp_path / 'a', expected, size, by_epoch=True)
        train(tmp_path / 'b', small, size, by_epoch=True)
        torch.testing.assert_close(weights(small), weights(expected), rtol=1e-6, atol=1e-6)

    def test_says_each_halving_once_and_keeps_the_rate(self, tmp_path, capsys):
        runner = train(tmp_path, SmallDevice(1), by_epoch=True)
        out = capsys.readouterr().out
        assert out.count('out of memory at step 1: from now on, each batch of 4 images is trained in 2 parts of 2') == 1
        assert out.count('in 4 parts of 1 at most') == 1
        assert out.count('out of memory') == 2
        assert runner.optim_wrapper.param_groups[0]['lr'] == 1e-3

    def test_ends_at_a_single_image(self, tmp_path):
        with pytest.raises(torch.OutOfMemoryError):
            train(tmp_path, SmallDevice(0), by_epoch=True)


class TestLaterEpochs:
    @pytest.mark.parametrize('by_epoch', [True, False])
    def test_end(self, tmp_path, by_epoch):
        model = SmallDevice(1, full_from=2)
        with pytest.raises(torch.OutOfMemoryError):
            train(tmp_path, model, by_epoch=by_epoch)
        assert model.steps == 3


class TestTheModel:
    def test_has_its_own_step_after_training(self, tmp_path):
        model = SmallDevice(1)
        train(tmp_path, model, by_epoch=True)
        assert 'train_step' not in vars(model)
        copy.deepcopy(model)
