"""What a wrong config raises while it is built, and in its first step, as the user sees it."""

import errno

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options
from mmengine.config import Config

from convnext_dense.apis.errors.run_errors import TRACEBACK, errors_as_sentences
from convnext_dense.errors import RunError

TINY = ['model.backbone.arch.depths=[1,1,1,1]', 'train_dataloader.dataset.indices=2']


class TestTrain:
    @pytest.fixture
    def error(self, command, tmp_path):
        def train(*options: str, config=DETECTOR) -> str:
            common = detector_options(1) if config == DETECTOR else segmenter_options(1)
            changed = {option.partition('=')[0] for option in options}
            kept = [option for option in [*common, *TINY] if option.partition('=')[0] not in changed]
            result = command('train', config, '--work-dir', tmp_path, '--cfg-options', *kept, *options)
            assert result.status == 2, (result.out + result.err)[-2000:]
            assert 'Traceback' not in result.err
            return result.error

        return train

    @pytest.mark.parametrize(
        ('option', 'message'),
        [
            ('model.backbone.frozen_stages=9', 'model.backbone: frozen_stages must be from 0'),
            ('model.backbone.arch=nope', 'model.backbone: arch must be one of atto'),
            ('model.backbone.out_indices=[7]', 'model.backbone: out_indices must name stages'),
            ('optim_wrapper.paramwise_cfg.num_layers=99', 'optim_wrapper: paramwise_cfg.num_layers is 99, but'),
            ('train_dataloader.sampler.type=Nope', "train_dataloader.sampler: there is no 'Nope' in the data sampler"),
            ('optim_wrapper.paramwise_cfg.decay_type=x', 'optim_wrapper: paramwise_cfg.decay_type must be one of'),
        ],
    )
    def test_what_is_plain_is_a_sentence_with_the_key(self, error, option, message, tmp_path):
        assert f'error: {message}' in error(option)
        assert not (tmp_path / TRACEBACK).exists()

    @pytest.mark.parametrize(
        ('option', 'message'),
        [
            ('model.neck.num_outs=1', 'model.neck (FPN): AssertionError: assert num_outs'),
            ('val_evaluator.metric=x', 'val_evaluator ('),
            ('randomness.seed=-1', 'randomness: ValueError: Seed must be between 0'),
            ('log_level=x', "log_level: KeyError: 'x'"),
        ],
    )
    def test_others_name_the_component_and_keep_the_traceback(self, error, option, message, tmp_path):
        sentence = error(option)
        assert f'error: {message}' in sentence
        assert sentence.endswith(f'The traceback is in {tmp_path / TRACEBACK}.')
        assert 'Traceback' in (tmp_path / TRACEBACK).read_text()

    def test_the_first_batch_names_the_module(self, error):
        message = error('model.neck.in_channels=[1,2,3,4]')
        assert 'at the first batch of training, in model.neck.lateral_convs.0.conv (Conv2d): RuntimeError' in message

    def test_images_below_the_stride_are_a_sentence(self, error):
        message = error('train_dataloader.dataset.pipeline.2.scale=(8,8)', 'model.data_preprocessor.pad_size_divisor=1')
        assert 'the image must be at least 32 pixels high and wide' in message

    def test_errors_in_the_middle_of_training_pass(self, command, tmp_path):
        (tmp_path / 'breaks.py').write_text(
            'from mmengine.hooks import Hook\nfrom mmengine.registry import HOOKS\n\n\n'
            '@HOOKS.register_module()\nclass BreaksLater(Hook):\n'
            '    def after_train_iter(self, runner, batch_idx, **kwargs):\n'
            '        if batch_idx == 1:\n            raise RuntimeError("later")\n'
        )
        config = tmp_path / 'config.py'
        config.write_text(
            f"_base_ = ['{SEGMENTER}']\nimport sys\nsys.path.insert(0, '{tmp_path}')\n"
            "custom_imports = dict(imports=['convnext_dense', 'breaks'])\n"
            "custom_hooks = [dict(type='mmengine.BreaksLater')]\n"
        )
        options = segmenter_options(3)
        with pytest.raises(RuntimeError, match='later'):
            command('train', config, '--work-dir', tmp_path / 'run', '--cfg-options', *options)

    def test_what_a_metric_raises_is_a_sentence_whenever_it_does(self, error, tmp_path, monkeypatch):
        def compute_metrics(self, results):
            raise ValueError('no area in \udcff.png')

        monkeypatch.setattr('mmseg.evaluation.IoUMetric.compute_metrics', compute_metrics)
        message = error('val_dataloader.batch_size=4', config=SEGMENTER)
        assert message.startswith(r'error: val_evaluator (IoUMetric): ValueError: no area in \udcff.png.')
        assert message.endswith(f'The traceback is in {tmp_path / TRACEBACK}.')
        assert r'no area in \udcff.png' in (tmp_path / TRACEBACK).read_text()

    def test_a_full_disk_is_a_sentence(self):
        message = 'iter_2.pth cannot be written: No space left on device; what was saved before is kept.'
        with pytest.raises(RunError, match=message), errors_as_sentences(Config(dict(work_dir='run'))):
            raise OSError(errno.ENOSPC, 'No space left on device', 'iter_2.pth')
