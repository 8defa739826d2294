"""Processes notice that another one stands still."""

import time

import pytest
import torch.distributed

from convnext_dense.training.processes import heartbeat
from convnext_dense.training.processes.heartbeat import Heartbeat

# In seconds.
LIMIT = 0.4


@pytest.fixture
def store():
    return torch.distributed.TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)


@pytest.fixture
def watch(store, monkeypatch):
    """Start watches of processes, which are threads here; `ended` has the status of each that ended its process."""
    started = []

    def exit_process(status):
        ended.append(status)
        started[0]._ended.set()

    ended = []
    monkeypatch.setattr(heartbeat.os, '_exit', exit_process)

    def start(*ranks):
        started.extend(Heartbeat(store, rank, 2, LIMIT) for rank in ranks)
        for thread in started:
            thread.start()
        return started, ended

    yield start
    for thread in started:
        thread.end()


class TestHeartbeat:
    def test_names_a_process_without_a_sign_of_life(self, watch, capfd):
        _, ended = watch(0)
        time.sleep(3 * LIMIT)
        assert ended == [1]
        assert 'rank 1 has given no sign of life for 0.36 s' in capfd.readouterr().err

    def test_lets_processes_live_that_give_signs_of_life(self, watch):
        _, ended = watch(0, 1)
        time.sleep(3 * LIMIT)
        assert ended == []

    def test_does_not_wait_for_a_process_that_is_done(self, watch):
        (_, second), ended = watch(0, 1)
        time.sleep(LIMIT / 2)
        second.end()
        time.sleep(3 * LIMIT)
        assert ended == []

    def test_says_where_processes_stand_if_no_step_ends(self, watch, capfd):
        (first, second), _ = watch(0, 1)
        second.steps = 1
        time.sleep(3 * LIMIT)
        assert first.steps == 0
        printed = capfd.readouterr().err
        assert printed.count('warning: no step has ended for ') == 1
        assert f'the processes wait for each other for {LIMIT:g} s' in printed
        assert 'in test_says_where_processes_stand_if_no_step_ends' in printed

    def test_says_nothing_while_steps_end(self, watch, capfd):
        (first, _), _ = watch(0, 1)
        for step in range(12):
            first.steps = step + 1
            time.sleep(LIMIT / 4)
        assert capfd.readouterr().err == ''
