"""Trainings that diverge."""

import math

import pytest
from helpers.toy_runs import saved, toy_runner, train_toy, weight_after
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.structures import BaseDataElement
from torch import nn

from convnext_dense.errors import RunError, UsageError
from convnext_dense.hooks import DivergenceHook

NAN, INF = math.nan, math.inf


class TestStop:
    @pytest.mark.parametrize('factor', [NAN, INF])
    def test_ends_with_step_loss_and_what_may_help(self, tmp_path, factor):
        with pytest.raises(RunError) as raised:
            train_toy(tmp_path, [DivergenceHook(in_a_row=2)], factors=[1, 1, factor, factor])
        message = str(raised.value)
        assert 'training diverged: loss_cls is' in message
        assert 'at step 4' in message
        assert '. These are 2 such steps in a row.' in message
        assert 'optim_wrapper.optimizer.lr, which is 0.1 now' in message
        assert 'optim_wrapper.clip_grad=dict(max_norm=1.0)' in message
        assert f'The step is kept in {tmp_path}/non_finite_step_3.pt' in message
        assert message.endswith(f'The last checkpoint is {tmp_path}/iter_3.pth.')
        assert saved(tmp_path) == ['iter_1.pth', 'iter_2.pth', 'iter_3.pth']
        (log,) = tmp_path.rglob('*.log')
        assert message in log.read_text()

    def test_names_module_images_and_parameter_group(self, tmp_path):
        samples = [BaseDataElement(metainfo=dict(img_path=f'{i}.jpg')) for i in range(8)]
        with pytest.raises(RunError) as raised:
            train_toy(tmp_path, [DivergenceHook(in_a_row=1)], factors=[1, NAN], samples=samples)
        assert 'images 2.jpg, 3.jpg;' in str(raised.value)
        assert 'the first output that is not finite is that of the model (ToyModel);' in str(raised.value)
        assert 'the gradients of 1 of 1 parameters are not finite, in parameter group 0 (layer.weight).' in str(
            raised.value
        )

    def test_leaves_a_single_step_out(self, tmp_path):
        shown = train_toy(tmp_path, [DivergenceHook()], factors=[1, 1, NAN, 1])
        assert 'step 3 was left out: loss_cls is nan at step 3;' in shown
        assert 'At 3 such steps in a row, training ends.' in shown
        assert '1 step was left out, since a loss or a gradient was not finite.' in shown
        # Three updates of 0.1.
        assert weight_after(tmp_path) == pytest.approx(0.01 - 0.3)

    def test_saves_no_weights_that_only_the_update_broke(self, tmp_path):
        # The loss of the second step is finite, and its gradient times the rate is not.
        with pytest.raises(RunError, match=r'NaN or infinite values are in layer\.weight after step 2'):
            train_toy(tmp_path, [DivergenceHook()], factors=[0, 1e38], lr=10.0)
        assert saved(tmp_path) == ['iter_1.pth']

    def test_keeps_the_good_epochs(self, tmp_path):
        with pytest.raises(RunError, match='at step 4'):
            train_toy(tmp_path, [DivergenceHook(in_a_row=2)], factors=[1, 1, NAN, NAN], by_epoch=True)
        assert saved(tmp_path) == ['epoch_1.pth']

    def test_does_not_advise_clipping_that_is_there(self, tmp_path):
        with pytest.raises(RunError) as raised:
            train_toy(tmp_path, [DivergenceHook(in_a_row=1)], factors=[NAN], clip_grad=dict(max_norm=1.0))
        assert 'clip_grad' not in str(raised.value)
        assert 'No checkpoint was saved' in str(raised.value)

    def test_weights_that_are_nan_at_the_start_are_a_mistake(self, tmp_path):
        runner = toy_runner(tmp_path, [DivergenceHook()])
        nn.init.constant_(runner.model.layer.bias, NAN)
        with pytest.raises(UsageError, match=r'the weights at the start: NaN or infinite values are in layer\.bias'):
            runner.train()

    def test_costs_no_look_at_the_weights_while_all_is_well(self, tmp_path, monkeypatch):
        looks = []
        monkeypatch.setattr(
            'convnext_dense.hooks.health.divergence_hook.find_non_finite', lambda model: looks.append(1) or []
        )
        runner = toy_runner(tmp_path, [DivergenceHook()])
        next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook)).interval = -1
        runner.train()
        # At the start, before the last step is saved, and at the end.
        assert len(looks) == 3


class TestSkip:
    def test_counts_to_its_limit(self, tmp_path):
        with pytest.raises(RunError, match='at step 3'):
            train_toy(tmp_path, [DivergenceHook('skip', max_skipped=2)], factors=[NAN] * 3)

    def test_goes_on_below_its_limit(self, tmp_path):
        shown = train_toy(tmp_path, [DivergenceHook('skip', max_skipped=3)], factors=[NAN] * 3)
        assert 'It is number 3 of at most 3 that are left out.' in shown
        assert weight_after(tmp_path) == pytest.approx(0.01 - 0.1)

    def test_keeps_the_first_step_of_a_row_alone(self, tmp_path):
        train_toy(tmp_path, [DivergenceHook('skip')], factors=[NAN, NAN, 1, INF])
        assert sorted(file.name for file in tmp_path.glob('*.pt')) == ['non_finite_step_1.pt', 'non_finite_step_4.pt']

    def test_momentum_stays(self, tmp_path):
        hook = DivergenceHook('skip')
        runner = toy_runner(tmp_path, [hook], factors=[1, NAN, 1, 1])
        group = runner.optim_wrapper.optimizer.param_groups[0]
        group['momentum'] = 0.5
        runner.train()
        # Without the second step: 1, then 0.5 + 1, then 0.75 + 1.
        assert weight_after(tmp_path) == pytest.approx(0.01 - 0.1 * (1 + 1.5 + 1.75))

    def test_a_resumed_run_counts_on(self):
        hook, resumed = DivergenceHook('skip', max_skipped=2), DivergenceHook('skip', max_skipped=2)
        hook.skipped = 2
        resumed.load_state_dict(hook.state_dict())
        assert resumed.skipped == 2


class TestRollback:
    def test_loads_the_last_checkpoint_and_lowers_the_rate(self, tmp_path):
        # The checkpoint of step 1 is the last: 0.01 - 0.1. Steps 2 and 3 are left out, and step 4 has half the rate.
        runner = toy_runner(tmp_path, [DivergenceHook('rollback', in_a_row=2)], factors=[1, NAN, NAN, 1])
        runner.train()
        assert weight_after(tmp_path) == pytest.approx(0.01 - 0.1 - 0.05)
        assert runner.optim_wrapper.optimizer.param_groups[0]['lr'] == pytest.approx(0.05)

    def test_undoes_weights_that_an_update_broke(self, tmp_path):
        hook = DivergenceHook('rollback')
        train_toy(tmp_path, [hook], factors=[0, 1e38, 1, 1], lr=10.0)
        assert hook.rollbacks == 1
        assert len(saved(tmp_path)) == 4

    def test_schedules_go_on_at_the_smaller_rate(self, tmp_path):
        from mmengine.optim import CosineAnnealingLR

        runner = toy_runner(tmp_path, [DivergenceHook('rollback', in_a_row=1)], factors=[1, NAN, 1, 1])
        runner.param_schedulers = [CosineAnnealingLR(runner.optim_wrapper.optimizer, T_max=4, by_epoch=False)]
        rates = []
        step = runner.optim_wrapper.optimizer.register_step_pre_hook(
            lambda optimizer, *_: rates.append(optimizer.param_groups[0]['lr'])
        )
        runner.train()
        step.remove()
        curve = [0.05 * (1 + math.cos(math.pi * i / 4)) for i in range(4)]
        assert rates == pytest.approx([curve[0], curve[1], curve[2] / 2, curve[3] / 2])

    def test_averaged_weights_go_back_too(self, tmp_path):
        average = EMAHook(momentum=0.5)
        runner = toy_runner(tmp_path, [DivergenceHook('rollback', in_a_row=1), average], factors=[1, NAN, 1, 1])
        runner.train()
        weight, averaged = runner.model.layer.weight, average.ema_model.module.layer.weight
        assert weight[0, 0].item() == pytest.approx(0.01 - 0.1 - 0.05 - 0.05)
        assert averaged.isfinite().all()
        assert averaged[0, 0] > weight[0, 0]

    def test_ends_without_a_checkpoint(self, tmp_path):
        with pytest.raises(RunError, match='No checkpoint was saved'):
            train_toy(tmp_path, [DivergenceHook('rollback', in_a_row=1)], factors=[NAN])

    def test_ends_when_it_has_gone_back_often_enough(self, tmp_path):
        hook = DivergenceHook('rollback', in_a_row=1, max_rollbacks=2)
        with pytest.raises(RunError, match='training diverged: loss_cls is nan at step 4'):
            train_toy(tmp_path, [hook], factors=[1, NAN, NAN, NAN])
        assert hook.rollbacks == 2


class TestArguments:
    @pytest.mark.parametrize(
        ('arguments', 'name'),
        [
            (dict(action='ignore'), 'action'),
            (dict(in_a_row=0), 'in_a_row'),
            (dict(max_skipped=True), 'max_skipped'),
            (dict(max_rollbacks='3'), 'max_rollbacks'),
            (dict(lr_factor=1), 'lr_factor'),
            (dict(lr_factor=NAN), 'lr_factor'),
        ],
    )
    def test_a_wrong_one_is_named(self, arguments, name):
        with pytest.raises(UsageError, match=rf'^DivergenceHook\.{name} must be'):
            DivergenceHook(**arguments)
