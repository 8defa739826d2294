"""Mistakes as the console command prints them."""

import pytest

from convnext_dense.errors import RunError, UsageError, exit_on_usage_error

OPTIONS = {'resume', 'backbone', 'cfg_options', 'work_dir'}


class TestExit:
    @pytest.fixture
    def printed(self, capsys):
        def end(error: Exception) -> tuple[int, str]:
            with pytest.raises(SystemExit) as stop, exit_on_usage_error(OPTIONS):
                raise error
            return stop.value.code, capsys.readouterr().err

        return end

    def test_a_mistake_exits_with_2_and_a_failed_run_with_1(self, printed):
        assert printed(UsageError('no.')) == (2, 'error: no.\n')
        assert printed(RunError('train stopped.')) == (1, 'error: train stopped.\n')

    @pytest.mark.parametrize(
        ('message', 'expected'),
        [
            ('resume: there is no file a.pth.', '--resume: there is no file a.pth.'),
            ('backbone timm/x(depth=1, y=2): no.', '--backbone timm/x(depth=1, y=2): no.'),
            ('data: give it by cfg_options data=PATH.', 'data: give it by --cfg-options data=PATH.'),
            # Words, keys and paths that only look like options.
            ('resume the run.', 'resume the run.'),
            ('checkpoint: there is no file resume.', 'checkpoint: there is no file resume.'),
            (
                'there is no /tmp/work_dir/a.pth or model.work_dir.',
                'there is no /tmp/work_dir/a.pth or model.work_dir.',
            ),
        ],
    )
    def test_an_option_has_its_dashes(self, printed, message, expected):
        assert printed(UsageError(message))[1] == f'error: {expected}\n'

    def test_other_errors_pass(self):
        with pytest.raises(KeyError), exit_on_usage_error(OPTIONS):
            raise KeyError('a')

    def test_a_name_of_several_lines_is_printed_in_one(self, printed):
        name = 'a\nb\r\x1b[2J\u2028ü' + b'\xff'.decode('utf-8', 'surrogateescape')
        assert printed(UsageError(f'data: there is no {name}.'))[1] == (
            'error: data: there is no a\\nb\\r\\x1b[2J\\u2028ü\\udcff.\n'
        )
