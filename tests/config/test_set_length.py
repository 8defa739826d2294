"""`--epochs` and `--iters`: a run of another length, with all that depends on it."""

import copy
import math

import pytest
from helpers.rate_curves import rate_curve
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from convnext_dense.config.schedule.run_length import RunLength, counts_epochs, length_of
from convnext_dense.config.schedule.set_length import set_length
from convnext_dense.config.schedule.warm_up import MAX_WARM_UP_SHARE, is_by_epoch, schedulers_of, warm_up_share
from convnext_dense.errors import UsageError

# A warm-up of few steps ends a step earlier or later.
TOLERANCE = 0.1
KINDS = ('MultiStepLR', 'StepLR', 'CosineAnnealingLR', 'PolyLR', 'ExponentialLR', 'CosineRestartLR', 'OneCycleLR')


def config(by_epoch=True, count=12, schedulers=(), hooks=(), **train_cfg) -> Config:
    length = dict(type='EpochBasedTrainLoop', max_epochs=count)
    if not by_epoch:
        length = dict(type='IterBasedTrainLoop', max_iters=count)
    return Config(
        dict(
            model=dict(type='Model'),
            train_cfg=dict(**length, **train_cfg),
            train_dataloader=dict(batch_size=2, sampler=dict(type='DefaultSampler', shuffle=True)),
            param_scheduler=list(schedulers),
            custom_hooks=list(hooks),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=by_epoch)),
        )
    )


def stretched(cfg: Config, steps_an_epoch=50, epochs=None, iters=None) -> Config:
    changed = copy.deepcopy(cfg)
    set_length(changed, epochs, iters, lambda: steps_an_epoch)
    return changed


@st.composite
def recipes(draw, longest_warm_up: float):
    """Draw a config that counts epochs or steps, and the steps of an epoch."""
    by_epoch = draw(st.booleans())
    steps_an_epoch = draw(st.integers(5, 15))
    count = draw(st.integers(6, 20)) * (1 if by_epoch else steps_an_epoch)
    steps = count * steps_an_epoch if by_epoch else count
    schedulers = []
    kind = draw(st.sampled_from(KINDS))
    # Of less than eight steps a run of a quarter of the length may leave nothing.
    warm_up = draw(st.sampled_from([0, *range(8, int(steps * longest_warm_up) + 1)]))
    # mmengine's others do not go with a warm-up: they set the rate.
    if warm_up and kind not in ('OneCycleLR', 'CosineRestartLR'):
        kind_of_warm_up = draw(st.sampled_from(['LinearLR', 'ConstantLR', 'mmdet.QuadraticWarmupLR']))
        arguments = {'LinearLR': dict(start_factor=0.1), 'ConstantLR': dict(factor=0.25)}.get(kind_of_warm_up, {})
        schedulers.append(dict(type=kind_of_warm_up, by_epoch=False, begin=0, end=warm_up, **arguments))
    epochs_of_scheduler = by_epoch and kind != 'ExponentialLR' and draw(st.booleans())
    own = count if epochs_of_scheduler or not by_epoch else steps
    begin = draw(st.sampled_from([0, own // 2])) if kind not in ('OneCycleLR', 'CosineRestartLR') else 0
    scheduler = dict(type=kind, by_epoch=epochs_of_scheduler, begin=begin, end=own)
    span = own - begin
    scheduler |= {
        'MultiStepLR': dict(milestones=sorted(draw(st.sets(st.integers(1, span - 1), max_size=3))), gamma=0.5),
        'StepLR': dict(step_size=draw(st.integers(max(1, span // 4), span)), gamma=0.5),
        'CosineAnnealingLR': dict(T_max=span, eta_min=0.05),
        'PolyLR': dict(power=0.9, eta_min=0.05),
        'ExponentialLR': dict(gamma=0.1 ** (1 / span)),
        'CosineRestartLR': dict(periods=[span // 2, span - span // 2], restart_weights=[1, 0.5], eta_min=0.05),
        'OneCycleLR': dict(eta_max=1.0, total_steps=span),
    }[kind]
    if epochs_of_scheduler and (kind not in ('MultiStepLR', 'StepLR') or draw(st.booleans())):
        # A smooth curve by epochs is a staircase, and one by steps is not.
        scheduler['convert_to_iter_based'] = True
    return config(by_epoch, count, [*schedulers, scheduler]), steps_an_epoch


@st.composite
def lengths(draw, cfg: Config, steps_an_epoch: int):
    """Draw the arguments of another length."""
    old = length_of(cfg.train_cfg)
    epochs = old if counts_epochs(cfg.train_cfg) else old // steps_an_epoch
    if draw(st.booleans()):
        return dict(epochs=draw(st.integers(max(6, epochs // 4), epochs * 3)))
    return dict(iters=draw(st.integers(max(30, epochs * steps_an_epoch // 4), epochs * steps_an_epoch * 3)))


def assert_stretched(old: list[float], new: list[float], steps_an_epoch: int) -> None:
    """Compare each rate with those that the old run had around the same share of itself."""
    # A scheduler by epochs changes the rate once an epoch, and what becomes steps is rounded.
    old_steps, new_steps = len(old), len(new)
    margin = (steps_an_epoch + 1) / old_steps + 2 / new_steps
    for i, rate in enumerate(new):
        share = i / new_steps
        first, last = (share - margin) * old_steps, (share + margin) * old_steps
        around = old[max(0, math.floor(first)) : math.ceil(last) + 1]
        # A curve's steps reach neither its beginning nor its end; of many steps, they come nearer.
        lowest = 0 if first <= 0 or last >= old_steps else min(around)
        assert lowest - TOLERANCE <= rate <= max(around) + TOLERANCE, (i, rate, around)


class TestTheCurve:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(data=st.data())
    def test_is_that_of_the_recipe_stretched(self, data):
        cfg, steps_an_epoch = data.draw(recipes(longest_warm_up=0.15))
        new = stretched(cfg, steps_an_epoch, **data.draw(lengths(cfg, steps_an_epoch)))
        assert_stretched(rate_curve(cfg, steps_an_epoch), rate_curve(new, steps_an_epoch), steps_an_epoch)

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(data=st.data())
    def test_has_little_warm_up_and_ends_with_the_run(self, data):
        cfg, steps_an_epoch = data.draw(recipes(longest_warm_up=3.0))
        new = stretched(cfg, steps_an_epoch, **data.draw(lengths(cfg, steps_an_epoch)))
        length = RunLength(length_of(new.train_cfg), counts_epochs(new.train_cfg), lambda: steps_an_epoch)
        assert warm_up_share(new, length) <= MAX_WARM_UP_SHARE
        for scheduler in schedulers_of(new):
            begin, end = scheduler.get('begin', 0), scheduler['end']
            places = [end, *(begin + milestone for milestone in scheduler.get('milestones', ()))]
            places += [begin + scheduler[key] for key in ('T_max', 'total_steps') if key in scheduler]
            assert max(places) <= length.counted(is_by_epoch(scheduler))
            assert 0 <= begin < end

    @given(count=st.integers(1, 50))
    def test_falls_before_the_end_of_the_shortest_run(self, count):
        cfg = config(count=36, schedulers=[dict(type='MultiStepLR', milestones=[27, 33], gamma=0.1, end=36)])
        rates = rate_curve(stretched(cfg, 4, epochs=count), 4)
        assert rates[0] == 1
        assert rates[-1] == pytest.approx(0.01)

    def test_is_the_recipes_own_at_its_own_length(self):
        schedulers = [
            dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=50),
            dict(type='MultiStepLR', milestones=[8, 11], by_epoch=True, begin=0, end=12),
        ]
        cfg = config(schedulers=schedulers, val_interval=1)
        assert stretched(cfg, epochs=12).to_dict() == cfg.to_dict()

    def test_falls_by_as_much_if_it_is_exponential(self):
        cfg = config(count=10, schedulers=[dict(type='ExponentialLR', gamma=0.5, by_epoch=True)])
        assert rate_curve(stretched(cfg, 4, epochs=20), 4)[-1] == pytest.approx(0.5**9.5)
        assert rate_curve(stretched(cfg, 4, iters=20), 4)[-1] == pytest.approx(0.5**9.5)

    def test_of_several_optimizers_is_stretched_for_each(self):
        cfg = config()
        cfg.param_scheduler = dict(one=[dict(type='PolyLR', end=12)], other=dict(type='StepLR', step_size=6))
        assert stretched(cfg, epochs=24).param_scheduler == dict(
            one=[dict(type='PolyLR', end=24)], other=dict(type='StepLR', step_size=12)
        )

    def test_keeps_its_patience_on_a_plateau(self):
        schedulers = [dict(type='ReduceOnPlateauLR', monitor='loss', patience=3)]
        assert stretched(config(schedulers=schedulers), epochs=100).param_scheduler == schedulers


SWITCH = dict(type='PipelineSwitchHook', switch_epoch=280, switch_pipeline=[])
YOLOX = dict(type='YOLOXModeSwitchHook', num_last_epochs=15)
EMA = dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.0002, gamma=2000)


class TestWhatDependsOnTheLength:
    @pytest.mark.parametrize(('epochs', 'switch'), [(600, 560), (30, 28), (10, 9), (3, 2), (1, 1)])
    def test_pipelines_switch_at_the_same_share(self, epochs, switch):
        hooks = [SWITCH, dict(type='convnext_dense.BatchAugmentsSwitchHook', switch_epoch=280)]
        new = stretched(config(count=300, hooks=hooks), epochs=epochs)
        assert [hook.switch_epoch for hook in new.custom_hooks] == [switch, switch]

    @pytest.mark.parametrize(('epochs', 'last'), [(600, 31), (150, 7), (30, 1), (10, 0)])
    def test_mosaic_ends_at_the_same_share(self, epochs, last):
        assert stretched(config(count=300, hooks=[YOLOX]), epochs=epochs).custom_hooks[0].num_last_epochs == last

    def test_averages_reach_over_the_same_share(self):
        (hook,) = stretched(config(count=300, hooks=[EMA]), epochs=30).custom_hooks
        assert hook.gamma == 200
        assert (1 - hook.momentum) == pytest.approx((1 - 0.0002) ** 10)

    def test_an_average_over_a_share_of_the_steps_so_far_does_anyway(self):
        annealed = dict(type='EMAHook', ema_type='MomentumAnnealingEMA', gamma=50)
        assert stretched(config(count=300, hooks=[annealed]), epochs=30).custom_hooks[0].gamma == 50

    def test_averages_begin_at_the_same_share(self):
        hook = dict(type='EMAHook', begin_epoch=6)
        assert stretched(config(hooks=[hook]), epochs=24).custom_hooks[0].begin_epoch == 12
        (by_steps,) = stretched(config(hooks=[hook]), 50, iters=60).custom_hooks
        assert by_steps.begin_iter == 30 and 'begin_epoch' not in by_steps

    def test_intervals_make_as_many_validations_and_checkpoints(self):
        cfg = config(count=300, val_interval=10, dynamic_intervals=[(280, 1)])
        cfg.default_hooks.checkpoint.interval = 30
        new = stretched(cfg, epochs=3000)
        assert (new.train_cfg.val_interval, new.train_cfg.dynamic_intervals) == (100, [(2800, 10)])
        assert new.default_hooks.checkpoint.interval == 300
        assert stretched(cfg, epochs=3).train_cfg.val_interval == 1

    def test_heads_change_their_losses_at_the_same_share(self):
        cfg = config()
        cfg.model = dict(type='TOOD', bbox_head=dict(type='TOODHead', initial_epoch=4))
        assert stretched(cfg, epochs=24).model.bbox_head.initial_epoch == 8


class TestAnotherUnit:
    def test_epochs_of_a_run_by_steps_are_steps(self):
        cfg = config(by_epoch=False, count=160000, val_interval=16000)
        new = stretched(cfg, 50, epochs=100)
        assert new.train_cfg == dict(type='IterBasedTrainLoop', max_iters=5000, val_interval=500)

    def test_steps_of_a_run_by_epochs_are_counted_by_all(self):
        new = stretched(config(val_interval=3), 50, iters=1200)
        assert new.train_cfg == dict(type='IterBasedTrainLoop', max_iters=1200, val_interval=300)
        assert new.default_hooks.checkpoint == dict(type='CheckpointHook', interval=100, by_epoch=False)
        assert new.train_dataloader.sampler == dict(type='InfiniteSampler', shuffle=True)
        assert not new.log_processor.by_epoch and not new.default_hooks.logger.log_metric_by_epoch

    @pytest.mark.parametrize('hook', [SWITCH, YOLOX, dict(type='mmdet.SetEpochInfoHook')])
    def test_is_refused_if_a_hook_acts_at_epochs(self, hook):
        with pytest.raises(UsageError, match=r'iters: custom_hooks.0, a \w+, acts at epochs.* give epochs'):
            stretched(config(hooks=[hook]), iters=100)


class TestRefusals:
    @pytest.mark.parametrize(
        ('lengths', 'message'),
        [
            (dict(epochs=0), 'epochs: it must be a whole number of at least 1; got 0'),
            (dict(iters=-3), 'iters: it must be a whole number of at least 1; got -3'),
            (dict(epochs=1.5), 'epochs: it must be a whole number'),
            (dict(epochs=3, iters=100), 'epochs: give epochs or iters, not both'),
        ],
    )
    def test_name_the_argument(self, lengths, message):
        with pytest.raises(UsageError, match=message):
            stretched(config(), **lengths)

    def test_name_a_config_without_data(self):
        cfg = config()
        cfg.train_dataloader = None
        with pytest.raises(UsageError, match='iters: the config has no train_dataloader'):
            stretched(cfg, iters=100)

    @pytest.mark.parametrize('train_cfg', [dict(type='MyLoop', max_epochs=3), dict(), dict(max_epochs=None)])
    def test_name_a_loop_without_a_known_length(self, train_cfg):
        cfg = config()
        cfg.train_cfg = train_cfg
        with pytest.raises(UsageError, match='epochs: train_cfg must be an epoch-based or an iteration-based loop'):
            stretched(cfg, epochs=3)
