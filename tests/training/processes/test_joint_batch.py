"""Several processes train as one does on their joint batch."""

import pytest
from helpers.demo_runs import DETECTOR, SEGMENTER
from helpers.several.joint_batch import ATSS, DETECTION, SEGMENTATION, SYNC_BN, Case
from helpers.several.processes import run_in_processes

pytestmark = pytest.mark.e2e

FEATURES = {
    'plain': [],
    'layer decay': ['optim_wrapper.paramwise_cfg.decay_rate=0.5'],
    'frozen stages': ['model.backbone.frozen_stages=2'],
    'accumulation': ['optim_wrapper.accumulative_counts=2'],
    'recomputed blocks': ['model.backbone.with_cp=True'],
    'recomputed backbone': ['cfg.activation_checkpointing=["backbone"]'],
}
EVERYTHING = [option for name, options in FEATURES.items() for option in options if name != 'recomputed backbone']


def check(command, demo_data, tmp_path, processes: int, cases: dict[str, tuple]) -> None:
    built = [Case(tmp_path, name, *case) for name, case in cases.items()]
    run_in_processes(processes, demo_data, [case.command(processes) for case in built], tmp_path)
    for case in built:
        result = command(*case.command(1))
        assert result.status == 0, result.err
        case.check_equal(1, processes)


@pytest.mark.parametrize('processes', [2, pytest.param(4, marks=pytest.mark.full)])
def test_all_features(command, demo_data, tmp_path, processes):
    cases = {
        'detector': (ATSS, DETECTOR, [*DETECTION, *EVERYTHING]),
        'segmenter': (SYNC_BN, SEGMENTER, [*SEGMENTATION, *EVERYTHING]),
    }
    check(command, demo_data, tmp_path, processes, cases)


@pytest.mark.full
@pytest.mark.parametrize('feature', FEATURES)
def test_each_feature(command, demo_data, tmp_path, feature):
    cases = {
        f'detector, {feature}': (ATSS, DETECTOR, [*DETECTION, *FEATURES[feature]]),
        f'segmenter, {feature}': (SYNC_BN, SEGMENTER, [*SEGMENTATION, *FEATURES[feature]]),
    }
    check(command, demo_data, tmp_path, 2, cases)
