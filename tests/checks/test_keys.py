"""Keys that nothing reads, types that nothing registers, and values of the wrong kind."""

import re
from unittest import mock

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER
from helpers.zoo import names, tiers
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from convnext_dense.checks.check import report
from convnext_dense.checks.config_keys import keys
from convnext_dense.checks.config_keys.keys import key_findings
from convnext_dense.checks.config_keys.signatures import signature
from convnext_dense.checks.config_keys.top_level_keys import KNOWN, VARIABLES
from convnext_dense.compat.configs.package_configs import configs_folder
from convnext_dense.config import load_config
from convnext_dense.errors import UsageError

FAST = {
    'demo/mask-rcnn_convnext-demo_fpn_demo-coco.py',
    'demo/upernet_convnext-demo_demo-ade20k.py',
    'mask_rcnn/mask-rcnn_convnext-t_fpn_amp-1x_coco.py',
}
# These are wrong: they name what mmdet 3.3.0 does not have, or begin with `models =`.
BROKEN = {
    'bisenetv2_fcn_4xb4-ohem-160k_cityscapes-1024x1024.py',
    'bytetrack_yolox_x_8xb4-80e_crowdhuman-mot20train_test-mot20test.py',
    'bytetrack_yolox_x_8xb4-amp-80e_crowdhuman-mot17halftrain_test-mot17test.py',
    'bytetrack_yolox_x_8xb4-amp-80e_crowdhuman-mot20train_test-mot20test.py',
    'faster-rcnn_r50_fpn_1x_voc0712-cocofmt.py',
    'fcos_swinb_fpn_8x4_sample1e-3_mstrain_v3det_2x.py',
}


def found(cfg: Config) -> list[str]:
    return [f'{"error" if finding.is_error else "warning"}: {finding.sentence}' for finding in key_findings(cfg)]


class TestFindings:
    @pytest.fixture
    def findings(self):
        return lambda config=DETECTOR, **options: found(load_config(str(config), cfg_options=options))

    @pytest.mark.parametrize(
        ('key', 'value', 'finding'),
        [
            ('optim_wraper.optimizer.lr', 1.0, "warning: cfg_options .*: nothing reads it; .* 'optim_wrapper'"),
            ('data.samples_per_gpu', 7, "warning: .* nothing reads it; .* 'train_dataloader.batch_size'"),
            ('data_root', 'elsewhere', 'warning: .* change the keys that its value went into'),
            ('model.test_cfg.rcnn.score_th', 0.1, "warning: .* the config has 'score_thr' there already"),
            ('train_dataloader.batchsize', 7, "error: train_dataloader: .* no argument 'batchsize'; .* 'batch_size'"),
            ('train_dataloader.dataset.metainof', {}, "warning: .*CocoDataset is not known .*; .* 'metainfo'"),
            ('model.backbone.froze_stages', 1, "error: model.backbone: .* 'froze_stages'; .* 'frozen_stages'"),
            ('model.neck.type', 'FPNN', "error: model.neck.type: there is no FPNN; the nearest is 'FPN'"),
            ('model.rpn_head.loss_cls.los_weight', 1, "error: model.rpn_head.loss_cls: .* 'loss_weight'"),
            ('model.backbone.frozen_stages', 'one', "error: .*frozen_stages: it must be a whole number; got 'one'"),
            ('model.backbone.with_cp', '', "error: .*with_cp: it must be True or False; got ''"),
            ('model.rpn_head', 'RPNHead', "error: model.rpn_head: it must be a dict; got 'RPNHead'"),
            ('model.rpn_head.loss_cls', 0.5, 'error: model.rpn_head.loss_cls: it must be a dict; got 0.5'),
            ('default_hooks.checkpoint.intervall', 1, "error: .*: CheckpointHook has no argument 'intervall'"),
            ('default_hooks.checkpoint.drop_optimiser', True, "error: .*; the nearest is 'drop_optimizer'"),
            ('train_dataloader.dataset.pipeline', [3], 'error: .*pipeline.0: it must be a dict; got 3'),
            ('model.data_preprocessor.type', 3, 'error: model.data_preprocessor.type: it must be a name; got 3'),
            ('model.rpn_head.type', 3, 'error: model.rpn_head.type: it must be a name; got 3'),
            ('optim_wrapper.optimizer.lrr', 1, "error: optim_wrapper.optimizer: AdamW has no argument 'lrr'"),
            ('optim_wrapper.clip_gard', 1, "error: optim_wrapper: OptimWrapper .*; the nearest is 'clip_grad'"),
            ('optim_wrapper.paramwise_cfg.decayrate', 1, "warning: .*paramwise_cfg.decayrate: .* 'decay_rate'"),
            ('param_scheduler.0.type', 'LinearLRR', "error: param_scheduler.0.type: .* 'LinearLR'"),
            ('default_hooks.lager', {'interval': 5}, 'error: default_hooks.lager: it has no type'),
            ('default_hooks.logger.intervall', 5, "error: default_hooks.logger: LoggerHook .*'interval'"),
            ('default_hooks.checkpoint.interval', None, 'error: .*checkpoint.interval: it must be a whole number'),
            ('visualizer.vis_backends.0.type', 'LocalVis', 'error: visualizer.vis_backends.0.type: there is no'),
            ('train_cfg.max_epoch', 3, "error: train_cfg: EpochBasedTrainLoop .* 'max_epochs'"),
            ('val_evaluator.metrics', 'bbox', "error: val_evaluator: .* 'metrics'; the nearest is 'metric'"),
            ('env_cfg.cudnn_benchmrak', True, "warning: env_cfg.cudnn_benchmrak: .* 'cudnn_benchmark'"),
        ],
    )
    def test_name_the_key_and_the_nearest_right_one(self, findings, key, value, finding):
        (sentence,) = findings(**{key: value})
        assert re.search(finding, sentence), sentence

    def test_those_of_our_hook_for_checkpoints_are_known(self, findings):
        assert not findings(**{'default_hooks.checkpoint.drop_optimizer': True})

    def test_a_variable_that_other_keys_have_taken_is_none(self, tmp_path):
        config = tmp_path / 'own.py'
        config.write_text(
            f"_base_ = ['{DETECTOR}']\nmy_width = 64\ntrain_dataloder = dict(batch_size=3)\n"
            'train_dataloader = train_dataloder\nval_cgf = dict(type="MyLoop")\n'
        )
        (sentence,) = found(load_config(str(config)))
        assert sentence == "warning: val_cgf: nothing reads it; the nearest is 'val_cfg'."

    def test_all_errors_of_a_config_are_found(self, findings):
        options = {'model.backbone.depht': 1, 'model.neck.outs': 1, 'optim_wrapper.optimizer.lrr': 1}
        assert sum(finding.startswith('error') for finding in findings(**options)) == 3

    def test_commands_without_other_checks_raise_errors_and_print_warnings(self, capsys):
        report(key_findings(load_config(str(DETECTOR), cfg_options={'optim_wraper.lr': 1})))
        assert 'warning: cfg_options optim_wraper.lr' in capsys.readouterr().err
        with pytest.raises(UsageError, match='depht'):
            report(key_findings(load_config(str(DETECTOR), cfg_options={'model.backbone.depht': 1})))


class TestConfigsThatAreRight:
    @pytest.mark.parametrize('name', tiers(names(), FAST))
    def test_of_this_package_have_no_findings(self, pytestconfig, name):
        assert found(load_config(str(pytestconfig.rootpath / 'configs' / name))) == []

    @pytest.mark.full
    @pytest.mark.parametrize('package', ['mmdet', 'mmseg'])
    def test_of_the_model_zoos_have_no_findings(self, package):
        reported, read = {}, 0
        for file in sorted(configs_folder(package).rglob('*.py')):
            if '_base_' in file.parts or file.name in BROKEN:
                continue
            try:
                cfg = load_config(str(file))
            except UsageError:
                # A part of a config, or one of a package that is not installed.
                continue
            read += 1
            if sentences := found(cfg):
                reported[file.name] = sentences
        assert reported == {}
        assert read > 500


def components(cfg: Config) -> list[tuple[str, list[str]]]:
    """Return the components of a config without ``**kwargs``: key, and the arguments that they take."""
    visited = {}
    arguments = keys._arguments

    def note(key, value, name, known, more=()):
        if not known.is_open and not key.endswith(('.-1', ']')):
            visited[key] = [argument for argument in known.parameters if len(argument) > 4]
        return arguments(key, value, name, known, more)

    with mock.patch.object(keys, '_arguments', note):
        list(key_findings(cfg))
    return [(key, names) for key, names in visited.items() if names]


class TestMisspelling:
    """Any argument of any component without ``**kwargs``, spelled wrong, is an error that has the nearest one."""

    def check(self, data: st.DataObject, config: str) -> None:
        cfg = load_config(config)
        place, arguments = data.draw(st.sampled_from(components(cfg)))
        argument = data.draw(st.sampled_from(arguments))
        i = data.draw(st.integers(1, len(argument) - 2))
        swapped = argument[:i] + argument[i + 1] + argument[i] + argument[i + 2 :]
        wrong = data.draw(
            st.sampled_from([argument[:i] + argument[i + 1 :], argument[:i] + argument[i] + argument[i:], swapped])
        )
        assume(wrong not in arguments and wrong != argument)
        cfg.merge_from_dict({f'{place}.{wrong}': 1})
        (sentence,) = [sentence for sentence in found(cfg) if repr(wrong) in sentence]
        assert sentence.startswith(f'error: {place}')
        assert 'the nearest is ' in sentence

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_is_found(self, data):
        self.check(data, str(data.draw(st.sampled_from([DETECTOR, SEGMENTER]))))

    @pytest.mark.full
    @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_is_found_in_every_config(self, pytestconfig, data):
        self.check(data, str(pytestconfig.rootpath / 'configs' / data.draw(st.sampled_from(names()))))


class TestTopLevelKeys:
    """Any key that the runner reads, spelled wrong, is a warning that has the right one."""

    @settings(max_examples=10, deadline=None)
    @given(data=st.data())
    def test_that_are_misspelt_are_found(self, data):
        name = data.draw(st.sampled_from(sorted(key for key in KNOWN if len(key) > 7)))
        i = data.draw(st.integers(1, len(name) - 2))
        wrong = name[:i] + name[i + 1 :]
        assume(wrong not in KNOWN | VARIABLES)
        for options in ({}, {wrong: 1}):
            cfg = load_config(str(DETECTOR), cfg_options=options)
            cfg[wrong] = 1
            sentences = [sentence for sentence in found(cfg) if wrong in sentence]
            assert len(sentences) == 1 and sentences[0].startswith('warning: ') and 'nothing reads it' in sentences[0]


class TestSignature:
    def test_has_the_arguments_that_kwargs_go_to(self):
        from mmdet.datasets import CocoDataset

        known = signature(CocoDataset)
        assert known.is_open
        assert {'ann_file', 'pipeline', 'proposal_file'} <= known.parameters.keys()

    def test_knows_names_that_a_decorator_translates(self):
        from mmcv.ops import ModulatedDeformConv2dPack

        assert 'deformable_groups' in signature(ModulatedDeformConv2dPack).literals
