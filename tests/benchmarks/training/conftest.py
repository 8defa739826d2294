"""A training run of ours and one of OpenMMLab's, which the tests share."""

import copy
from typing import NamedTuple

import pytest
from helpers.demo_runs import DETECTOR
from mmengine.hooks import Hook

from benchmarks.training import compare
from benchmarks.training.compare import prepare_config
from benchmarks.training.measured_run import MeasuredRun
from benchmarks.training.openmmlab import copy_weights, openmmlab_config
from benchmarks.training.synthetic_data import take_batches
from convnext_dense.config import load_config
from convnext_dense.hooks.speed.prefetch_hook import PrefetchHook
from convnext_dense.registry import HOOKS


@HOOKS.register_module()
class PrefetchOnCPUHook(PrefetchHook):
    """Copies each next batch as on a GPU, without a stream."""

    def before_train(self, runner):
        self._install(runner.train_loop, copy.deepcopy, lambda: None)


@HOOKS.register_module()
class EMALikeHook(Hook):
    """Keeps a copy of the model."""

    def before_train(self, runner):
        self.kept = copy.deepcopy(runner.model)


class Pair(NamedTuple):
    """The runs, their batches, and what ours has allocated before its first step."""

    ours: MeasuredRun
    theirs: MeasuredRun
    batches: list[dict]
    allocated: int


@pytest.fixture(autouse=True)
def _few_images(monkeypatch):
    monkeypatch.setattr(compare, 'NUM_IMAGES', 4)
    monkeypatch.setattr(compare, 'WARM_UP', 1)


@pytest.fixture(scope='session')
def pair(tmp_path_factory):
    """The demo detector on four synthetic images, ours with prefetching and a hook that keeps a model."""
    folder = tmp_path_factory.mktemp('pair')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, 'NUM_IMAGES', 4)
        cfg = prepare_config(load_config(str(DETECTOR)), folder / 'data', batch_size=2, scale=0.3)
    # The tests take more steps than the demo has epochs of.
    cfg.train_cfg.max_epochs = 10
    configs = dict(ours=cfg, theirs=openmmlab_config(cfg))
    cfg.custom_hooks = [dict(type=f'convnext_dense.{name}') for name in ('PrefetchOnCPUHook', 'EMALikeHook')]
    ours, theirs = (MeasuredRun(config, str(folder / name), name) for name, config in configs.items())
    copy_weights(ours.model, theirs.model)
    batches = take_batches(ours.loader, 2)
    for run in (ours, theirs):
        run.start(batches)
    return Pair(ours, theirs, batches, ours.allocated_bytes())
