"""Runs whose batches are prefetched."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from convnext_dense.hooks import PrefetchHook
from convnext_dense.hooks.speed import prefetch_hook


def install(hook, loop):
    hook._install(loop, move=lambda batch: batch * 10, wait=lambda: None)


def end_step(hook, iteration, max_iters):
    hook.after_train_iter(SimpleNamespace(iter=iteration, max_iters=max_iters), iteration)


class TestPrefetchHook:
    def test_every_epoch_has_all_batches_in_order(self):
        loader = DataLoader(torch.arange(5), batch_size=None)
        hook, loop = PrefetchHook(), SimpleNamespace(dataloader=loader)
        install(hook, loop)
        iteration = 0
        for _ in range(2):
            batches = []
            for batch in loop.dataloader:
                batches.append(int(batch))
                end_step(hook, iteration, 10)
                iteration += 1
            assert batches == [0, 10, 20, 30, 40]
        hook.after_train(SimpleNamespace(train_loop=loop))
        assert loop.dataloader is loader

    def test_neither_skipped_batches_nor_one_after_the_last_move(self):
        loader = DataLoader(torch.arange(1, 8), batch_size=None)
        iterator = iter(loader)
        hook, loop = PrefetchHook(), SimpleNamespace(dataloader=loader, dataloader_iterator=iterator)
        install(hook, loop)
        # A resumed run skips these.
        assert [int(next(loop.dataloader_iterator)) for _ in range(2)] == [1, 2]
        batches = []
        for iteration in range(2, 5):
            batches.append(int(next(loop.dataloader_iterator)))
            end_step(hook, iteration, 5)
        assert batches == [3, 40, 50]
        hook.after_train(SimpleNamespace(train_loop=loop))
        assert loop.dataloader_iterator is iterator
        assert int(next(iterator)) == 6

    @pytest.mark.parametrize('by_epoch', [True, False])
    def test_mmengines_runner_trains_on_the_same_batches(self, tmp_path, monkeypatch, by_epoch):
        seen, moved = [], []

        class Model(BaseModel):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(1))

            def forward(self, number, mode):
                seen.append(int(number))
                return dict(loss=self.weight.sum())

        def before_train(self, runner):
            self._install(runner.train_loop, lambda batch: moved.append(batch) or batch, lambda: None)

        monkeypatch.setattr(PrefetchHook, 'before_train', before_train)
        runner = Runner(
            Model(),
            str(tmp_path),
            train_dataloader=DataLoader([dict(number=i) for i in range(3)]),
            train_cfg=dict(by_epoch=by_epoch, **(dict(max_epochs=2) if by_epoch else dict(max_iters=6))),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            custom_hooks=[dict(type='convnext_dense.PrefetchHook')],
            experiment_name=str(tmp_path),
        )
        runner.train()
        assert seen == [0, 1, 2, 0, 1, 2]
        # Every epoch begins a new iterator, whose first batch is not moved ahead.
        assert [int(batch['number']) for batch in moved] == ([1, 2, 1, 2] if by_epoch else [1, 2, 0, 1, 2])

    def test_without_a_gpu_it_does_nothing_and_says_so(self, monkeypatch):
        log = []
        monkeypatch.setattr(prefetch_hook, 'print_log', lambda line, logger: log.append(line))
        loader = DataLoader([1])
        runner = SimpleNamespace(model=nn.Linear(1, 1), train_loop=SimpleNamespace(dataloader=loader))
        hook = PrefetchHook()
        hook.before_train(runner)
        assert runner.train_loop.dataloader is loader
        assert log == ['PrefetchHook does nothing: the model is not on a GPU.']
        hook.after_train(runner)
