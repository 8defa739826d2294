"""tools/benchmark_train.py and tools/profile_training.py, as a user calls them."""

import json
import runpy
import sys

import pytest
from helpers.demo_runs import DETECTOR, ROOT, SEGMENTER

import benchmarks.training.compare as training

BENCHMARK, PROFILE = ROOT / 'tools' / 'benchmark_train.py', ROOT / 'tools' / 'profile_training.py'
SMALL = ['--batch-size', '1', '--scale', '0.25']


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a tool in this process, and return its exit status and what it printed."""

    def run(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [str(tool), *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(tool), run_name='__main__')
        except SystemExit as error:
            status = error.code
        return status, capsys.readouterr()

    return run


class TestBenchmarkTrain:
    def test_prints_and_saves_the_figures(self, call, tmp_path):
        options = ['--speed', 'channels_last', 'fused_adamw', '--rounds', '2', '--out', tmp_path / 'a' / 'b.json']
        status, printed = call(BENCHMARK, DETECTOR, *SMALL, *options)
        assert status == 0
        saved = json.loads((tmp_path / 'a' / 'b.json').read_text())
        assert saved['switches'] == ['channels_last', 'fused_adamw']
        assert saved['contenders']['ours']['settings']['fused']
        assert f'{saved["ratio"]["images_per_second"]:.3f} in images/s' in printed.out
        assert saved['machine']['versions']['mmpretrain']

    def test_fails_where_the_first_losses_differ(self, call, monkeypatch):
        monkeypatch.setattr(training, 'copy_weights', lambda source, target: None)
        monkeypatch.setattr(training, 'AGREES', 0.0)
        status, printed = call(BENCHMARK, SEGMENTER, '--batch-size', '2', '--scale', '0.3', '--rounds', '1')
        assert status == 1
        assert 'WHICH DIFFER' in printed.out

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (['--speed', 'warp'], "there is no switch 'warp'"),
            (['--rounds', '0'], '--rounds must be at least 1'),
            (['--cfg-options', 'train_dataloader=None'], 'the config has no train_dataloader'),
        ],
    )
    def test_mistakes_are_one_line(self, call, options, message):
        status, printed = call(BENCHMARK, SEGMENTER, *options)
        assert status == 2
        assert message in printed.err
        assert printed.err.count('\n') == 1


class TestProfileTraining:
    def test_prints_the_table_and_writes_the_files(self, call, tmp_path):
        status, printed = call(PROFILE, DETECTOR, *SMALL, '--steps', '1', '--out', tmp_path / 'p')
        assert status == 0
        assert {path.name for path in (tmp_path / 'p').iterdir()} == {'profile.json', 'trace.json'}
        bottleneck = json.loads((tmp_path / 'p' / 'profile.json').read_text())['bottleneck']
        assert f'The next bottleneck: {bottleneck["part"]}' in printed.out
        assert 'optimizer' in printed.out

    def test_no_steps_are_a_mistake(self, call):
        status, printed = call(PROFILE, SEGMENTER, '--steps', '0')
        assert (status, printed.err.count('\n')) == (2, 1)
