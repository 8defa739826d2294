"""The values that a step logs are mmengine's, and fetched together."""

import pytest
import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from torch import nn

from benchmarks.training.waits import Waits
from convnext_dense.hooks import OneTransferHook


class Stepping:
    """As much of a runner as the hooks read."""

    def __init__(self, clip_grad, name):
        torch.manual_seed(0)
        self.model = nn.Linear(3, 1)
        self.message_hub = MessageHub.get_instance(name)
        self.optim_wrapper = OptimWrapper(torch.optim.SGD(self.model.parameters(), lr=0.1), clip_grad=clip_grad)
        self.optim_wrapper.message_hub = self.message_hub
        self.train_loop = None

    def step(self, hook):
        hook.before_train(self)
        for i in range(3):
            loss = self.model(torch.full((4, 3), i + 1.0)).square().mean()
            self.optim_wrapper.update_params(loss)
            hook.after_train_iter(self, i, outputs=dict(loss=loss.detach(), count=2))


class Plain:
    """mmengine's own way."""

    def before_train(self, runner):
        pass

    def after_train_iter(self, runner, batch_idx, outputs):
        pass


def logged(hub):
    return {name: history.data[0].tolist() for name, history in hub.log_scalars.items()}


@pytest.mark.parametrize(
    'clip_grad', [dict(max_norm=0.1), dict(max_norm=1e6, norm_type=1.0), dict(type='value', clip_value=0.1), None]
)
def test_the_norm_of_gradients_and_the_weights_are_mmengines(clip_grad):
    ours, theirs = (
        Stepping(dict(clip_grad) if clip_grad else None, f'{way}_{clip_grad}') for way in ('ours', 'theirs')
    )
    ours.step(OneTransferHook())
    theirs.step(Plain())
    assert logged(ours.message_hub) == logged(theirs.message_hub)
    assert ('train/grad_norm' in logged(ours.message_hub)) == bool(clip_grad and 'max_norm' in clip_grad)
    torch.testing.assert_close(ours.model.state_dict(), theirs.model.state_dict(), rtol=0, atol=0)


def test_a_second_training_of_a_runner_logs_norms_too():
    runner, hook = Stepping(dict(max_norm=0.1), 'twice'), OneTransferHook()
    runner.step(hook)
    runner.step(hook)
    assert len(logged(runner.message_hub)['train/grad_norm']) == 6


def test_no_question_is_asked_before_the_step_has_ended():
    runner, hook = Stepping(dict(max_norm=0.1), 'waits'), OneTransferHook()
    hook.before_train(runner)
    loss = runner.model(torch.ones(4, 3)).square().mean()
    with Waits() as waits:
        runner.optim_wrapper.update_params(loss)
    assert not waits.lines


def test_losses_become_numbers_that_mmengine_logs():
    runner, outputs = Stepping(None, 'losses'), dict(loss=torch.tensor(2.5), acc=torch.tensor([50.0]))
    OneTransferHook().after_train_iter(runner, 0, outputs=outputs)
    assert outputs == dict(loss=2.5, acc=50.0)
    RuntimeInfoHook().after_train_iter(runner, 0, outputs=outputs)
    assert logged(runner.message_hub) == {'train/loss': [2.5], 'train/acc': [50.0]}
