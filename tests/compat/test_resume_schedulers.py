"""Every schedule of mmengine resumes under torch's safe loader, in mmengine's own runner."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner
from torch import nn

ARGUMENTS = {
    'Constant': {},
    'CosineAnnealing': dict(T_max=4),
    'CosineRestart': dict(periods=[2, 2], restart_weights=[1, 0.5], eta_min=0.0),
    'Exponential': dict(gamma=0.9),
    'Linear': dict(start_factor=0.1),
    'MultiStep': dict(milestones=[1]),
    'Poly': dict(power=0.9),
    'ReduceOnPlateau': dict(monitor='loss', rule='less'),
    'Step': dict(step_size=1),
}
SCHEDULES = [
    *(dict(type=f'{name}{suffix}', **ARGUMENTS[name]) for name in ARGUMENTS for suffix in ('LR', 'Momentum')),
    dict(type='OneCycleLR', eta_max=0.2, total_steps=100),
    dict(type='OneCycleLR', eta_max=0.2, total_steps=100, anneal_strategy='linear'),
]


@pytest.fixture(autouse=True)
def _describe_no_machine(monkeypatch):
    # mmengine describes the machine in every run, which takes seconds.
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        return dict(loss=self.fc(torch.stack(inputs)).square().mean())


def train(work_dir, schedule, steps, resume):
    runner = Runner(
        model=Model(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2, dataset=[dict(inputs=torch.ones(2))] * 4, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=dict(by_epoch=False, max_iters=steps),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        # Without an end of its own, a schedule keeps that of the first training.
        param_scheduler=dict(by_epoch='Plateau' in schedule['type'], end=100, **schedule),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False)),
        resume=resume,
        default_scope='mmengine',
        log_level='ERROR',
        experiment_name=f'{work_dir}_{steps}_{resume}',
    )
    runner.train()
    return runner


@pytest.mark.parametrize('schedule', SCHEDULES, ids=lambda schedule: '-'.join(map(str, schedule.values())))
def test_goes_on_as_if_it_had_not_stopped(schedule, tmp_path):
    torch.manual_seed(0)
    whole = train(tmp_path / 'whole', schedule, 4, resume=False)
    torch.manual_seed(0)
    train(tmp_path / 'parts', schedule, 2, resume=False)
    resumed = train(tmp_path / 'parts', schedule, 4, resume=True)
    assert resumed.iter == 4
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])
    for key in ('lr', 'momentum'):
        assert [group[key] for group in whole.optim_wrapper.param_groups] == [
            group[key] for group in resumed.optim_wrapper.param_groups
        ]


def test_are_all_of_mmengines():
    names = {name for name in PARAM_SCHEDULERS.module_dict if name.endswith(('LR', 'Momentum'))}
    assert {schedule['type'] for schedule in SCHEDULES} >= {
        name for name in names if PARAM_SCHEDULERS.get(name).__module__.startswith('mmengine.')
    }
