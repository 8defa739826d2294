"""Where a training writes its curves."""

import pytest
from helpers.commands import run_command
from helpers.demo_runs import DETECTOR, SEGMENTER
from mmengine.config import Config

from convnext_dense.config import load_config, set_logs
from convnext_dense.config.training_options import logs
from convnext_dense.errors import UsageError


def kinds(cfg):
    """The types of a config's backends."""
    return [backend.type for backend in cfg.visualizer.vis_backends]


@pytest.fixture
def installed(monkeypatch):
    """Whether a package is installed is what the returned set says."""
    packages = {'tensorboard'}
    monkeypatch.setattr(logs, 'is_installed', lambda name: name in packages)
    return packages


class TestSetLogs:
    @pytest.mark.parametrize('config', [DETECTOR, SEGMENTER])
    def test_adds_tensorboard_to_openmmlabs_configs(self, config, installed):
        cfg = load_config(str(config))
        set_logs(cfg)
        assert kinds(cfg) == ['LocalVisBackend', 'TensorboardVisBackend']
        # Nothing of this machine: the config in the work dir runs anywhere, by mmdet's tools too.
        assert cfg.visualizer.vis_backends[1] == dict(type='TensorboardVisBackend')

    def test_adds_a_visualizer_where_there_is_none(self, installed):
        cfg = Config(dict(model={}))
        set_logs(cfg)
        assert kinds(cfg) == ['LocalVisBackend', 'TensorboardVisBackend']

    @pytest.mark.parametrize('hooks', [{}, dict(default_hooks=dict(logger=dict(type='LoggerHook', interval=5)))])
    def test_has_scores_logged_by_step(self, hooks, installed):
        cfg = Config(dict(model={}, **hooks))
        set_logs(cfg)
        expected = dict(**{'type': 'LoggerHook', 'log_metric_by_epoch': False}, **({'interval': 5} if hooks else {}))
        assert cfg.default_hooks.logger == expected

    @pytest.mark.parametrize('logger', [None, dict(type='LoggerHook', log_metric_by_epoch=True)])
    def test_leaves_a_logger_of_the_configs(self, logger, installed):
        cfg = Config(dict(model={}, default_hooks=dict(logger=logger)))
        set_logs(cfg)
        assert cfg.default_hooks.logger == logger

    def test_leaves_a_choice_of_the_configs(self, installed):
        own = [dict(type='LocalVisBackend'), dict(type='AimVisBackend')]
        cfg = Config(dict(visualizer=dict(type='Visualizer', vis_backends=own)))
        set_logs(cfg)
        assert kinds(cfg) == ['LocalVisBackend', 'AimVisBackend']

    def test_adds_what_is_asked_for_once(self, installed):
        installed |= {'wandb', 'mlflow'}
        cfg = Config(dict(model={}))
        for _ in range(2):
            set_logs(cfg, ['wandb', 'mlflow', 'wandb'])
        assert kinds(cfg) == ['LocalVisBackend', 'TensorboardVisBackend', 'WandbVisBackend', 'MLflowVisBackend']

    def test_says_how_to_install_what_is_missing(self, installed, tmp_path):
        with pytest.raises(UsageError, match=r'^log: wandb is not installed; pip install wandb\.$'):
            set_logs(Config(dict(model={})), ['wandb'])
        result = run_command(tmp_path, 'train', SEGMENTER, '--log', 'mlflow')
        assert result.status == 2
        assert result.error == 'error: --log: mlflow is not installed; pip install mlflow.'

    def test_without_tensorboard_a_run_goes_on(self, installed):
        installed.clear()
        cfg = Config(dict(model={}))
        set_logs(cfg)
        assert kinds(cfg) == ['LocalVisBackend']

    def test_a_folder_of_its_name_is_no_package(self, tmp_path, monkeypatch):
        (tmp_path / 'nothing_of_this_name').mkdir()
        monkeypatch.syspath_prepend(tmp_path)
        assert not logs.is_installed('nothing_of_this_name')
