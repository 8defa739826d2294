"""What a run shows on the terminal before its first step, and how it scales the learning rate."""

import pytest
from helpers.toy_runs import toy_runner, train_toy

from convnext_dense.hooks import RunSummaryHook


class TestQuietStart:
    def test_shows_the_summary_and_the_steps_alone(self, tmp_path):
        shown = train_toy(tmp_path, [RunSummaryHook()]).splitlines()
        start = next(i for i, line in enumerate(shown) if '(train)' in line or 'Saving checkpoint' in line)
        assert start <= 18
        assert any('the run:' in line for line in shown[:start])
        (log,) = tmp_path.rglob('*.log')
        assert 'Hooks will be executed in the following order' in log.read_text()
        assert 'the run:' in log.read_text()

    def test_shows_warnings(self, tmp_path, capsys):
        runner = toy_runner(tmp_path, [])
        runner.logger.warning('this is odd')
        runner.logger.warning('The prefix is not set in metric class IoUMetric.')
        runner.logger.info('this is not')
        shown = capsys.readouterr().out
        assert 'this is odd' in shown
        assert 'The prefix' not in shown
        assert 'this is not' not in shown


class TestAutoScaleLR:
    @pytest.mark.parametrize(('count', 'lr'), [(1, 0.1 * 2 / 16), (4, 0.1 * 8 / 16)])
    def test_counts_the_accumulated_steps(self, tmp_path, capsys, count, lr):
        runner = toy_runner(tmp_path, [], accumulative_counts=count)
        runner.scale_lr(runner.optim_wrapper, dict(enable=True, base_batch_size=16))
        assert runner.optim_wrapper.param_groups[0]['lr'] == pytest.approx(lr)
        sentence = f'2 images x 1 (processes) x {count} (accumulated steps) = {2 * count} images an update'
        assert sentence in capsys.readouterr().out

    def test_is_off_unless_asked_for(self, tmp_path):
        runner = toy_runner(tmp_path, [], accumulative_counts=4)
        runner.scale_lr(runner.optim_wrapper, dict(enable=False, base_batch_size=16))
        assert runner.optim_wrapper.param_groups[0]['lr'] == 0.1
