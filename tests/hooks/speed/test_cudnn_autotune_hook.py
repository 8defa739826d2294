"""cuDNN's autotuning: on while shapes are few."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from convnext_dense.hooks import CudnnAutotuneHook


@pytest.fixture(autouse=True)
def _restore_cudnn():
    before = torch.backends.cudnn.benchmark
    yield
    torch.backends.cudnn.benchmark = before


@pytest.fixture
def log(monkeypatch):
    """Return the lines that the hook logs."""
    lines = []
    monkeypatch.setattr(
        'convnext_dense.hooks.speed.cudnn_autotune_hook.print_log', lambda line, logger: lines.append(line)
    )
    return lines


class Preprocessor(nn.Module):
    def forward(self, batch, training=False):
        return batch


class Detector(nn.Module):
    """A detector whose image heights and number of boxes the test decides."""

    def __init__(self):
        super().__init__()
        self.data_preprocessor = Preprocessor()
        self.roi_head = nn.Module()
        self.roi_head.mask_head = nn.Identity()
        self.roi_head.bbox_head = nn.ModuleList([nn.Identity(), nn.Identity()])

    def step(self, height, boxes=8):
        self.data_preprocessor(dict(inputs=torch.zeros(1, 3, height, 32)))
        self.roi_head.mask_head(torch.zeros(boxes, 1))
        self.roi_head.bbox_head[1](torch.zeros(4, 1))


@pytest.fixture
def model():
    return Detector()


@pytest.fixture
def runner(model):
    return SimpleNamespace(model=model)


@pytest.fixture
def hook(runner, log):
    hook = CudnnAutotuneHook(max_shapes=2)
    hook.before_train(runner)
    return hook


class TestCudnnAutotuneHook:
    def test_autotuning_stays_on_for_crops_of_one_size(self, hook, model, log):
        for _ in range(20):
            model.step(32)
        assert torch.backends.cudnn.benchmark
        assert len(log) == 1

    def test_many_image_sizes_turn_it_off_for_good(self, hook, model, runner, log):
        for height in (32, 64, 32):
            model.step(height)
            assert torch.backends.cudnn.benchmark
        for height in (96, 32, 128):
            model.step(height)
            assert not torch.backends.cudnn.benchmark
        hook.after_val(runner)
        assert not torch.backends.cudnn.benchmark
        assert log[1:] == ["cuDNN's autotuning is off from here on: images came in more than 2 shapes."]

    def test_a_varying_number_of_boxes_turns_it_off(self, hook, model, log):
        for boxes in (5, 6, 7):
            model.step(32, boxes)
        assert not torch.backends.cudnn.benchmark
        assert "the RoI head's mask_head came in more than 2 shapes" in log[-1]

    def test_shapes_of_validation_do_not_count(self, hook, model, runner):
        hook.before_val(runner)
        assert not torch.backends.cudnn.benchmark
        with torch.no_grad():
            for height in (32, 64, 96, 128):
                model.step(height)
        hook.after_val(runner)
        assert torch.backends.cudnn.benchmark

    def test_shapes_after_training_do_not_count(self, hook, model, runner):
        hook.after_train(runner)
        for height in (32, 64, 96, 128):
            model.step(height)
        assert torch.backends.cudnn.benchmark

    def test_a_wrapped_model_is_counted_too(self, model, log):
        CudnnAutotuneHook(max_shapes=1).before_train(SimpleNamespace(model=nn.DataParallel(model)))
        for height in (32, 64):
            model.step(height)
        assert not torch.backends.cudnn.benchmark
