"""What the checks `checkpoint` and `resume` find in a checkpoint before a run."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from convnext_dense.checks import PlannedDataset, RunPlan
from convnext_dense.checks.checkpoint import CHECKPOINT
from convnext_dense.checks.resume import RESUME, describe_finished
from convnext_dense.config.foreign import config_as_data

WEIGHTS = {'backbone.x': torch.ones(3), 'head.mask': torch.tensor([0.0, float('-inf')])}
HUB = dict(log_scalars={}, runtime_info={}, resumed_keys={})
TRAINING = dict(
    meta=dict(epoch=2, iter=8, cfg="optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))"),
    state_dict=WEIGHTS,
    message_hub=HUB,
    optimizer=dict(state={}, param_groups=[]),
)


def plan(content, save, classes=('a', 'b'), split='test', **cfg):
    path = save(content)
    planned = RunPlan(Config(dict(model={}, load_from=path, **cfg)), (split,), path)
    built = SimpleNamespace(metainfo=dict(classes=classes))
    planned.__dict__['_leaves'] = [PlannedDataset(split, f'{split}_dataloader.dataset', {}, built, [])]
    return planned


def trained_on(*classes, key='classes'):
    return dict(meta=dict(dataset_meta={key: classes}), state_dict=WEIGHTS)


class TestWeights:
    @pytest.mark.parametrize('value', [float('nan'), float('inf')])
    @pytest.mark.parametrize(('split', 'key'), [('test', 'checkpoint'), ('train', 'load_from')])
    def test_that_are_not_finite_are_an_error(self, value, split, key, save):
        content = dict(state_dict={**WEIGHTS, 'neck.y': torch.tensor([1.0, value])})
        (finding,) = CHECKPOINT.find(plan(content, save, split=split))
        assert finding.is_error
        assert finding.sentence.startswith(f'{key}: ')
        assert '1 of 3 tensors, such as neck.y' in finding.sentence

    @pytest.mark.parametrize('content', [dict(state_dict='x'), dict(state_dict={1: torch.ones(1)}), [1]])
    def test_of_another_form_are_an_error(self, content, save):
        (finding,) = CHECKPOINT.find(plan(content, save))
        assert finding.is_error

    def test_that_are_good_are_not_reported(self, save):
        assert not list(CHECKPOINT.find(plan(WEIGHTS, save)))


class TestClasses:
    @pytest.mark.parametrize('key', ['classes', 'CLASSES'])
    def test_in_another_order_are_an_error_in_test(self, key, save):
        (finding,) = CHECKPOINT.find(plan(trained_on('b', 'a', key=key), save))
        assert finding.is_error
        assert 'the order differs' in finding.sentence

    @pytest.mark.parametrize('classes', [('a',), ('a', 'c')])
    def test_of_other_names_are_an_error_in_test(self, classes, save):
        assert [finding.is_error for finding in CHECKPOINT.find(plan(trained_on(*classes), save))] == [True]

    @pytest.mark.parametrize(('classes', 'warnings'), [(('b', 'a'), 1), (('c', 'd'), 1), (('c',), 0), (('a', 'b'), 0)])
    def test_of_a_fine_tune_are_a_warning_at_most(self, classes, warnings, save):
        findings = list(CHECKPOINT.find(plan(trained_on(*classes), save, split='train')))
        assert [finding.is_error for finding in findings] == [False] * warnings

    @settings(max_examples=20)
    @given(names=st.lists(st.text(min_size=1), min_size=2, max_size=5, unique_by=lambda name: name.strip().lower()))
    def test_are_found_in_any_other_order(self, names, tmp_path_factory):
        path = str(tmp_path_factory.mktemp('x') / 'a.pth')

        def save(content):
            torch.save(content, path)
            return path

        content = trained_on(*names)
        assert not list(CHECKPOINT.find(plan(content, save, classes=tuple(names))))
        normalized = [name.strip().lower().replace('_', ' ').replace('-', ' ') for name in names]
        if normalized != normalized[::-1]:
            (finding,) = CHECKPOINT.find(plan(content, save, classes=tuple(names[::-1])))
            assert finding.sentence.isprintable()

    @pytest.mark.parametrize('own', [('Bed ', 'traffic_light'), ('bed', 'Traffic light')])
    def test_spelled_in_another_way_are_the_same(self, own, save):
        assert not list(CHECKPOINT.find(plan(trained_on('bed', 'traffic light'), save, classes=own)))


class TestResume:
    def find(self, content, save, **cfg):
        return list(RESUME.find(plan(content, save, split='train', resume=True, **cfg)))

    @pytest.mark.parametrize(
        ('change', 'sentence'),
        [
            (dict(meta=None), 'has weights alone'),
            (dict(meta=dict(epoch=1)), 'has weights alone'),
            (dict(meta=dict(epoch=1, iter='x')), 'has weights alone'),
            (dict(message_hub=None), 'has no message_hub'),
            (dict(message_hub='x'), ''),
            (dict(message_hub={}), 'of another form'),
            (dict(optimizer='x'), 'has an optimizer of another form'),
            (dict(param_schedulers=3), 'has param_schedulers of another form'),
        ],
    )
    def test_what_cannot_be_resumed_is_an_error_that_names_load_from(self, change, sentence, save):
        (finding,) = self.find({**TRAINING, **change}, save)
        assert finding.is_error
        assert sentence in finding.sentence
        assert 'load_from' in finding.sentence

    def test_the_same_config_is_not_reported(self, save):
        assert not self.find(TRAINING, save, optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)))

    def test_another_learning_rate_is_a_warning_of_which_counts(self, save):
        (finding,) = self.find(TRAINING, save, optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.2)))
        assert not finding.is_error
        assert "optim_wrapper.optimizer.lr (0.2 instead of 0.1): the checkpoint's value counts" in finding.sentence

    def test_another_model_is_an_error(self, save):
        content = {**TRAINING, 'meta': {**TRAINING['meta'], 'cfg': "model = dict(type='mmdet.MaskRCNN')"}}
        planned = plan(content, save, split='train', resume=True)
        planned.cfg.model = dict(type='MaskRCNN')
        assert not list(RESUME.find(planned))
        planned.cfg.model = dict(type='EncoderDecoder')
        (finding,) = RESUME.find(planned)
        assert finding.is_error
        assert 'model.type is EncoderDecoder in the config' in finding.sentence

    def test_a_schedule_without_an_end_keeps_that_of_the_first_training(self, save):
        text = "param_scheduler = [dict(type='PolyLR')]\ntrain_cfg = dict(max_epochs=2)"
        content = {**TRAINING, 'meta': {**TRAINING['meta'], 'cfg': text}}
        schedule = dict(param_scheduler=dict(type='PolyLR'), train_cfg=dict(max_epochs=4))
        (finding,) = self.find(content, save, **schedule)
        assert "param_scheduler.0.end (4 instead of 2): the checkpoint's value counts" in finding.sentence
        assert not self.find(content, save, **schedule | dict(train_cfg=dict(max_epochs=2)))

    def test_another_optimizer_is_an_error(self, save):
        (finding,) = self.find(TRAINING, save, optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)))
        assert finding.is_error

    def test_another_dataset_is_a_warning_of_which_counts(self, save):
        meta = {**TRAINING['meta'], 'cfg': "train_dataloader = dict(dataset=dict(data_root='a', pipeline=[1]))"}
        own = dict(dataset=dict(data_root='b', pipeline=[2]))
        (finding,) = self.find({**TRAINING, 'meta': meta}, save, train_dataloader=own)
        assert "train_dataloader.dataset.data_root (b instead of a): the config's value counts" in finding.sentence

    def test_a_best_checkpoint_has_no_optimizer_and_says_so(self, save):
        content = {key: value for key, value in TRAINING.items() if key != 'optimizer'}
        (finding,) = self.find(content, save)
        assert not finding.is_error
        assert 'has no state of the optimizer' in finding.sentence

    @pytest.mark.parametrize(('epochs', 'is_finished'), [(1, True), (2, True), (3, False)])
    def test_a_finished_run_is_described(self, epochs, is_finished, save):
        cfg = Config(dict(resume=True, train_cfg=dict(max_epochs=epochs)))
        assert bool(describe_finished(RunPlan(cfg, ('train',), save(TRAINING)))) == is_finished

    def test_a_compared_run_goes_on_to_its_last_validation(self, save):
        hooks = [dict(type='convnext_dense.TrainingCostHook')]
        cfg = Config(dict(resume=True, train_cfg=dict(max_epochs=2), custom_hooks=hooks))
        assert not describe_finished(RunPlan(cfg, ('train',), save(TRAINING)))


class TestConfigAsData:
    @pytest.mark.parametrize(
        'text',
        [
            "open('ran', 'w')", "x = open('ran', 'w')", "x = dict(**open('ran', 'w'))", "x = [1 for _ in open('ran')]",
            'x = f"{open(\'ran\')}"', 'import os', 'x = (lambda: 0)()', 'def f(', 'x = ' + '[' * 5000, None, 3,
            b'x = 1', '\0',
        ],
    )  # fmt: skip
    def test_runs_nothing(self, text, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert config_as_data(text) == {}
        assert not list(tmp_path.iterdir())

    def test_reads_what_mmengine_writes(self):
        cfg = Config(dict(a=dict(b=[1, (2.5, None)], c={'x.y': -1e-5}), d='x', e=True))
        assert config_as_data(cfg.pretty_text) == dict(a=dict(b=[1, (2.5, None)], c={'x.y': -1e-5}), d='x', e=True)
