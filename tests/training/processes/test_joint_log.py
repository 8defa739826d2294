"""What several processes measured is logged as their mean."""

from types import SimpleNamespace
from unittest import mock

import pytest
from mmengine.logging import HistoryBuffer

from convnext_dense.training.processes import joint_log
from convnext_dense.training.processes.joint_log import JointLogProcessor


def collected(mode: str, other: dict) -> dict:
    """Return what a process logs, if another one measured `other`."""
    own = {'loss': 1.0, 'lr': 0.1, 'acc': 50.0}
    scalars = {f'{mode}/{name}': HistoryBuffer([value], [1]) for name, value in own.items()}
    runner = SimpleNamespace(message_hub=SimpleNamespace(log_scalars=scalars))
    with mock.patch.object(joint_log, 'all_gather_object', lambda value: [value, other]):
        return JointLogProcessor()._collect_scalars([], runner, mode)


class TestJointLogProcessor:
    def test_logs_the_mean_of_training_losses(self):
        assert collected('train', {'loss': 3.0, 'lr': 0.1, 'acc': 70.0}) == {'loss': 2.0, 'lr': 0.1, 'acc': 60.0}

    def test_logs_what_one_process_alone_has(self):
        assert collected('train', {'loss': 2.0, 'lr': 0.1}) == pytest.approx({'loss': 1.5, 'lr': 0.1, 'acc': 50.0})

    def test_leaves_validation_to_the_evaluators(self):
        assert collected('val', {'loss': 3.0})['loss'] == 1.0
