"""The learning rate of every step of a run, by mmengine's own schedulers, without a model."""

import copy

import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope

from convnext_dense.config.schedule.run_length import counts_epochs, length_of


def rate_curve(cfg: Config, steps_an_epoch: int) -> list[float]:
    """Return the rate of each step."""
    by_epoch, count = counts_epochs(cfg.train_cfg), length_of(cfg.train_cfg)
    steps = count * steps_an_epoch if by_epoch else count
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    # As mmengine's runner has them; a run by steps is one epoch to it.
    ends = {True: count if by_epoch else 1, False: steps}
    schedulers = [_build(scheduler, optimizer, ends, steps_an_epoch) for scheduler in cfg.param_scheduler]
    rates = []
    for step in range(1, steps + 1):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or (by_epoch and step % steps_an_epoch == 0):
                scheduler.step()
    return rates


def _build(scheduler: dict, optimizer, ends: dict, steps_an_epoch: int):
    scheduler = {'end': ends[scheduler.get('by_epoch', True)], **copy.deepcopy(scheduler)}
    with DefaultScope.overwrite_default_scope('mmdet'):
        return PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer, epoch_length=steps_an_epoch))
