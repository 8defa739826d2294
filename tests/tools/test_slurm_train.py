"""tools/slurm_train.sh, with a Slurm that only notes what it is asked for."""

import os
import subprocess

import pytest
from helpers.demo_runs import ROOT

pytestmark = pytest.mark.e2e

SRUN = """#!/usr/bin/env bash
echo "$@" >> srun.log
count=$(wc -l < srun.log)
exit "$(echo $STATUSES | cut -d' ' -f"$count")"
"""
SCONTROL = """#!/usr/bin/env bash
echo "$@" >> scontrol.log
"""


@pytest.fixture
def slurm_train(tmp_path):
    """Run the script; return its status, the arguments of each srun, and those of scontrol."""

    def run(statuses, *arguments, **environment):
        for name, text in (('srun', SRUN), ('scontrol', SCONTROL)):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        environment = {
            **os.environ,
            'PATH': f'{tmp_path}{os.pathsep}{os.environ["PATH"]}',
            'STATUSES': ' '.join(map(str, statuses)),
            'GPUS': '2',
            **environment,
        }
        script = ['bash', ROOT / 'tools/slurm_train.sh', 'gpu', 'name', 'my_config.py', 'my_run', *arguments]
        result = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        logs = [tmp_path / 'srun.log', tmp_path / 'scontrol.log']
        starts, requeues = ([*log.read_text().splitlines()] if log.exists() else [] for log in logs)
        return result.returncode, starts, requeues

    return run


def test_asks_for_another_allocation_and_resumes_after_a_stop(slurm_train):
    status, starts, requeues = slurm_train([75, 75, 0])
    assert status == 0
    assert ['--resume' in start for start in starts] == [False, True, True]
    assert all('--signal=USR1@120' in start and '--work-dir my_run --launcher slurm' in start for start in starts)
    assert not requeues


def test_in_a_job_queues_the_job_again(slurm_train):
    status, starts, requeues = slurm_train([75], SLURM_JOB_ID='17')
    assert status == 75
    assert requeues == ['requeue 17']
    (start,) = starts
    assert '--signal' not in start
    assert '--resume' not in start


def test_a_job_that_was_queued_again_resumes(slurm_train):
    status, starts, requeues = slurm_train([0], SLURM_JOB_ID='17', SLURM_RESTART_COUNT='1')
    assert status == 0
    assert ['--resume' in start for start in starts] == [True]
    assert not requeues


@pytest.mark.parametrize('failure', [1, 2, 137])
def test_a_failure_is_not_tried_again(failure, slurm_train):
    status, starts, requeues = slurm_train([failure], SLURM_JOB_ID='17')
    assert status == failure
    assert len(starts) == 1
    assert not requeues


def test_arguments_of_srun_and_of_training_are_passed_on(slurm_train):
    _, starts, _ = slurm_train([0], '--amp', SRUN_ARGS='--account=lab --time=60')
    assert '--account=lab --time=60' in starts[0]
    assert starts[0].endswith('--launcher slurm --amp')
    # Of two, srun takes the last.
    assert starts[0].rindex('--kill-on-bad-exit=0') > starts[0].rindex('--kill-on-bad-exit=1')
