"""Schedules by which nothing is trained, saved or validated."""

import copy
import functools
from dataclasses import dataclass

import pytest
from helpers.demo_runs import CONFIGS, DETECTOR, SEGMENTER
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convnext_dense.checks import RunPlan
from convnext_dense.checks.training.schedule import MINIMA, find_schedule_faults
from convnext_dense.config import load_config


@functools.cache
def load(config):
    return load_config(str(config))


def find(config, **options) -> list:
    cfg = copy.deepcopy(load(config))
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    return list(find_schedule_faults(RunPlan(cfg, ('train', 'val'))))


def sentences(config, **options) -> list[str]:
    return [finding.sentence for finding in find(config, **options)]


@dataclass(frozen=True)
class Fault:
    config: object
    options: dict
    sentence: str
    is_error: bool = True


CHECKPOINT = 'default_hooks__checkpoint__'
FAULTS = {
    'no length': Fault(DETECTOR, dict(train_cfg__max_epochs=None), 'train_cfg.max_epochs: it is missing.'),
    'workers that are none and persist': Fault(
        DETECTOR, dict(train_dataloader__num_workers=0), 'train_dataloader.persistent_workers: it is True'
    ),
    'a scheduler of a text': Fault(
        DETECTOR, {'param_scheduler__0__start_factor': '0,1'}, "param_scheduler.0.start_factor: it is '0,1'; it must be"
    ),
    'a scheduler of NaN': Fault(
        SEGMENTER, {'param_scheduler__0__end': float('nan')}, 'param_scheduler.0.end: it is nan; it must be a number'
    ),
    'a milestone that is none': Fault(
        DETECTOR,
        dict(param_scheduler=[dict(type='MultiStepLR', milestones=['8'])]),
        "param_scheduler.0.milestones: it is ['8']; it must be a list of whole numbers",
    ),
    'no gradient is left': Fault(
        SEGMENTER, dict(optim_wrapper__clip_grad__max_norm=0), 'optim_wrapper.clip_grad.max_norm: it is 0'
    ),
    'the best by a metric of another task': Fault(
        SEGMENTER, {CHECKPOINT + 'save_best': 'coco/bbox_mAP'}, 'the val_evaluator reports no coco/bbox_mAP'
    ),
    'the best by a misspelt metric': Fault(
        DETECTOR, {CHECKPOINT + 'save_best': 'bbox_mAP'}, 'its nearest metrics are coco/bbox_mAP'
    ),
    'stopping early by a misspelt metric': Fault(
        SEGMENTER,
        dict(custom_hooks=[dict(type='EarlyStoppingHook', monitor='miou')]),
        'custom_hooks.0.monitor: the val_evaluator reports no miou; its nearest metrics are mIoU',
    ),
    'the best without a validation': Fault(
        DETECTOR,
        {CHECKPOINT + 'save_best': 'auto', 'val_dataloader': None, 'val_evaluator': None, 'val_cfg': None},
        'the run has no validation that could score it',
    ),
    'a batch of one with BatchNorm': Fault(
        SEGMENTER,
        dict(train_dataloader__batch_size=1, model__decode_head__norm_cfg=dict(_delete_=True, type='SyncBN')),
        'train_dataloader.batch_size: it is 1, and a head pools the image to one pixel',
    ),
    'nothing saved': Fault(
        SEGMENTER,
        {CHECKPOINT + 'interval': 2000, CHECKPOINT + 'save_last': False},
        'default_hooks.checkpoint.interval: it is 2000, the run is 1700 long',
        is_error=False,
    ),
    'saved by epochs that are not counted': Fault(
        SEGMENTER, {CHECKPOINT + 'by_epoch': True}, 'nothing is saved before the last step', is_error=False
    ),
    'no checkpoint hook': Fault(
        DETECTOR, dict(default_hooks__checkpoint=None), 'the trained weights are not saved', is_error=False
    ),
    'validated after the end': Fault(
        DETECTOR, dict(train_cfg__val_begin=99), 'train_cfg.val_begin: it is 99', is_error=False
    ),
    'a rate by epochs that are not counted': Fault(
        SEGMENTER, dict(param_scheduler=[dict(type='MultiStepLR', milestones=[8])]), 'it never changes the rate', False
    ),
    'a rate of 0': Fault(SEGMENTER, dict(optim_wrapper__optimizer__lr=0), 'so nothing is learned', is_error=False),
}


@pytest.mark.parametrize('fault', FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_sentence(fault):
    (finding,) = find(fault.config, **fault.options)
    assert fault.sentence in finding.sentence
    assert finding.is_error == fault.is_error


class TestNumbers:
    @settings(max_examples=60, deadline=None)
    @given(
        key=st.sampled_from(
            [key for key in MINIMA if key not in ('train_cfg.max_iters', 'auto_scale_lr.base_batch_size')]
        ),
        value=st.one_of(
            st.integers(max_value=-1),
            st.floats(max_value=-0.1),
            st.just(float('nan')),
            st.text(min_size=1),
            st.booleans(),
        ),
    )
    def test_that_cannot_be_right_are_errors_with_key_and_value(self, key, value):
        assume(type(value) not in (int, float) or not value >= MINIMA[key][0])
        found = sentences(DETECTOR, **{key.replace('.', '__'): value})
        assert f'{key}: it is {value!r}; it must be a' in found[0]

    @pytest.mark.parametrize('value', [0, -5, 1.5, '3'])
    def test_of_steps_are_at_least_one(self, value):
        assert sentences(SEGMENTER, train_cfg__max_iters=value) == [
            f'train_cfg.max_iters: it is {value!r}; it must be a whole number of at least 1.'
        ]


class TestWhatIsFine:
    @pytest.mark.parametrize(
        ('config', 'options'),
        [
            (DETECTOR, {}),
            (SEGMENTER, {}),
            (DETECTOR, {CHECKPOINT + 'save_best': ['coco/bbox_mAP', 'coco/segm_mAP_50']}),
            (DETECTOR, {CHECKPOINT + 'save_best': 'anything', 'val_evaluator': dict(type='MyMetric', _delete_=True)}),
            (SEGMENTER, {CHECKPOINT + 'save_best': 'mIoU'}),
            (SEGMENTER, {CHECKPOINT + 'save_best': 'auto'}),
            # GroupNorm needs no batch.
            (SEGMENTER, dict(train_dataloader__batch_size=1)),
            (SEGMENTER, {CHECKPOINT + 'interval': 5000}),
            (DETECTOR, dict(train_cfg=dict(_delete_=True, type='MyLoop'))),
            (DETECTOR, dict(val_dataloader=None, val_evaluator=None, val_cfg=None)),
            ('mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py', {}),
            ('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py', {}),
        ],
    )
    def test_has_no_findings(self, config, options):
        assert sentences(config, **options) == []

    @pytest.mark.full
    @pytest.mark.parametrize('config', sorted(CONFIGS.glob('[!_]*/*.py')), ids=lambda config: config.stem)
    def test_has_no_findings_in_our_recipes(self, config):
        assert sentences(config) == []

    def test_is_a_test_without_training(self):
        cfg = load_config(str(DETECTOR), cfg_options={'train_cfg.max_epochs': 0})
        assert list(find_schedule_faults(RunPlan(cfg, ('test',)))) == []
