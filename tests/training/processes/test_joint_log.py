"""What several processes measured is logged as their mean."""

from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from mmengine.logging import HistoryBuffer

from convnext_dense.training.processes import joint_log
from convnext_dense.training.processes.joint_log import JointLogProcessor, share_losses


class Processes:
    """Two processes, of which the other one measured something else."""

    def __init__(self, mode='train', max_length=1000000, **own):
        self.histories = {
            f'{mode}/{name}': HistoryBuffer(values, [1] * len(values), max_length) for name, values in own.items()
        }
        self.runner = SimpleNamespace(message_hub=SimpleNamespace(log_scalars=self.histories))
        self.exchanged = []

    def run(self, function, **other):
        """Run a function of the runner, in which the other process says what is new there."""

        def gather(own):
            self.exchanged.append({key: list(values) for key, values in own.items()})
            return [own, {f'train/{name}': np.array(values) for name, values in other.items()}]

        with mock.patch.multiple(joint_log, all_gather_object=gather, get_world_size=lambda: 2):
            return function(self.runner)

    def add(self, name, value):
        """Add what a step measured."""
        self.histories[f'train/{name}'].update(value)


def collect(mode):
    return lambda runner: JointLogProcessor()._collect_scalars([], runner, mode)


class TestJointLogProcessor:
    def test_logs_the_mean_of_training_losses(self):
        logged = Processes(loss=[1.0], lr=[0.1], acc=[50.0]).run(collect('train'), loss=[3.0], acc=[70.0])
        assert logged == {'loss': 2.0, 'lr': 0.1, 'acc': 60.0}

    def test_logs_what_one_process_alone_has(self):
        assert Processes(loss=[1.0], acc=[50.0]).run(collect('train'), loss=[2.0]) == {'loss': 1.5, 'acc': 50.0}

    def test_leaves_validation_to_the_evaluators(self):
        processes = Processes('val', loss=[1.0])
        assert processes.run(collect('val'))['loss'] == 1.0
        assert processes.exchanged == []


class TestShareLosses:
    def test_exchanges_each_value_once(self):
        processes = Processes(loss=[1.0, 2.0])
        processes.run(share_losses, loss=[3.0, 6.0])
        processes.add('loss', 5.0)
        processes.run(share_losses, loss=[7.0])
        assert list(processes.histories['train/loss']._log_history) == [2.0, 4.0, 6.0]
        assert processes.exchanged == [{'train/loss': [1.0, 2.0]}, {'train/loss': [5.0]}]

    def test_keeps_what_is_equal_to_the_last_bit(self):
        processes = Processes(loss=[0.1])
        processes.run(share_losses, loss=[0.1])
        assert processes.histories['train/loss']._log_history[0] == 0.1

    def test_goes_on_when_a_history_is_full(self):
        processes = Processes(max_length=2, loss=[1.0, 2.0])
        processes.run(share_losses, loss=[3.0, 4.0])
        processes.add('loss', 5.0)
        processes.run(share_losses, loss=[3.0, 7.0])
        assert list(processes.histories['train/loss']._log_history) == pytest.approx([3.0, 6.0])

    def test_leaves_a_single_process_alone(self):
        processes = Processes(loss=[1.0])
        share_losses(processes.runner)
        assert processes.exchanged == []
