"""Trainings of a model of one layer, in milliseconds, whose losses a test chooses."""

import contextlib
import io
from pathlib import Path
from unittest import mock

import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from convnext_dense.training.checkpoints.whole_checkpoints import WholeCheckpoints
from convnext_dense.training.quiet_start import QuietStart


class ToyModel(BaseModel):
    """Its loss is its weights' sum times a factor: in each step the next of `factors`, and then 1.

    A step that is made again has the same factor.
    """

    def __init__(self, factors=()):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        nn.init.constant_(self.layer.weight, 0.01)
        self.factors = list(factors)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        """Return the losses, or a prediction of nothing."""
        if mode == 'predict':
            return [None]
        step = MessageHub.get_current_instance().get_info('iter')
        factor = self.factors[step] if step < len(self.factors) else 1.0
        return dict(loss_cls=self.layer.weight.sum() * factor, loss_bbox=self.layer.weight.sum() * 0)


class SkippingOptimWrapper(OptimWrapper):
    """Leaves out steps with infinite gradients, as a loss scaler does."""

    def step(self, **kwargs):
        """Update the weights, if all gradients are finite."""
        if all(
            param.grad.isfinite().all()
            for group in self.param_groups
            for param in group['params']
            if param.grad is not None
        ):
            super().step(**kwargs)


def toy_runner(
    work_dir: Path,
    hooks: list,
    factors=(),
    by_epoch=False,
    wrapper=OptimWrapper,
    samples=None,
    loader=None,
    lr=0.1,
    checkpoint=None,
    load_from=None,
    with_validation=False,
    metrics=(),
    **options,
):
    """Return a runner of four steps, or of two epochs of two steps, that saves after each.

    `load_from` is resumed; `checkpoint` has other settings of the checkpoints.
    """
    model = ToyModel(factors)
    # Eight samples: mmengine sleeps for two seconds where a run by steps begins with the data again.
    samples = samples or [None] * (4 if by_epoch else 8)
    dataset = [dict(inputs=torch.zeros(2), data_samples=sample) for sample in samples]
    optim_wrapper = wrapper(torch.optim.SGD(model.parameters(), lr=lr), **options)
    checkpoint = {'type': 'CheckpointHook', 'interval': 1, 'by_epoch': by_epoch, **(checkpoint or {})}
    sampler = dict(sampler=dict(type='DefaultSampler', shuffle=False), collate_fn=dict(type='pseudo_collate'))
    validation = dict(
        val_cfg=dict(), val_dataloader=dict(dataset=dataset, batch_size=2, **sampler), val_evaluator=list(metrics)
    )
    with mock.patch('mmengine.runner.runner.collect_env', dict):
        return type('ToyRunner', (QuietStart, WholeCheckpoints, Runner), {})(
            model=model,
            work_dir=str(work_dir),
            train_dataloader=dict(
                dataset=dataset,
                batch_size=2,
                **sampler,
                **(loader or {}),
            ),
            train_cfg=dict(by_epoch=by_epoch, val_interval=1, **({'max_epochs': 2} if by_epoch else {'max_iters': 4})),
            optim_wrapper=optim_wrapper,
            default_hooks=dict(checkpoint=checkpoint),
            custom_hooks=hooks,
            load_from=load_from,
            resume=load_from is not None,
            **(validation if with_validation else {}),
            experiment_name=f'{work_dir.name}-{id(model)}',
        )


def train_toy(work_dir: Path, hooks: list, **options) -> str:
    """Train, and return what the terminal showed."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        toy_runner(work_dir, hooks, **options).train()
    return shown.getvalue()


def saved(work_dir: Path) -> list[str]:
    """Return the names of a run's checkpoints, which must all be finite."""
    files = sorted(work_dir.glob('*.pth'))
    for file in files:
        assert all(tensor.isfinite().all() for tensor in torch.load(file, weights_only=False)['state_dict'].values())
    return [file.name for file in files]


def weight_after(work_dir: Path, name: str = 'iter_4.pth') -> float:
    """Return the first weight in a checkpoint of a run."""
    return torch.load(work_dir / name, weights_only=False)['state_dict']['layer.weight'][0, 0].item()
