"""Steps run within their budget, and nothing that one does stops the others or loses what was measured."""

import json
import os
import select
import signal
import time
from contextlib import suppress

import pytest

from benchmarks.gpu.planner import NOT_STARTED, PATIENCE, run_steps
from benchmarks.gpu.record import DONE, Record
from benchmarks.gpu.step import COMPILER, Step
from convnext_dense.errors import UsageError

MACHINE = dict(device='NVIDIA H100 80GB HBM3', type='cuda', compiler=False, versions={})
WRITE = "import json, os, sys; open(r'{out}', 'w').write(json.dumps(dict(value=1)));"
SECOND = 1 / 60


def step(name, code=WRITE, minutes=SECOND, **options):
    return Step(name, 'demo', minutes, ('-c', code), **options)


@pytest.fixture
def record(tmp_path):
    return Record(tmp_path, MACHINE, rehearsal=False, resume=False)


@pytest.fixture
def run(record):
    """Run steps, and return how each ended, as the file has it."""

    def run_all(*steps, seconds=60.0):
        run_steps(steps, record, time.monotonic() + seconds, lambda line: None)
        return statuses(record)

    return run_all


def saved(record):
    return json.loads(record.file.read_text())['steps']


def statuses(record):
    return {name: entry['status'] for name, entry in saved(record).items()}


class TestBudget:
    def test_a_step_that_does_not_fit_is_left_out(self, run):
        found = run(step('a'), step('long', minutes=2), step('b'))
        assert found == {'a': DONE, 'long': NOT_STARTED, 'b': DONE}

    def test_a_step_that_hangs_is_killed_and_the_next_goes_on(self, run, record):
        hang = step(
            'hang', f'{WRITE} import time; print("begun", flush=True); time.sleep(600)', minutes=2 / PATIENCE * SECOND
        )
        # All that is left would be the next one's.
        found = run(hang, step('next', minutes=57 * SECOND))
        assert found['hang'].startswith('timed out') and found['next'] == DONE
        entry = saved(record)['hang']
        assert entry['figures'] == dict(value=1)
        assert entry['log'] == ['begun']

    def test_what_a_killed_step_has_started_is_killed(self, run, tmp_path):
        code = (
            'import subprocess, sys, time;'
            f"process = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
            f"open(r'{tmp_path}/child', 'w').write(str(process.pid)); time.sleep(600)"
        )
        run(step('parent', code), seconds=2)
        with suppress(ProcessLookupError):
            child = os.pidfd_open(int((tmp_path / 'child').read_text()))
            # Readable once the process has ended.
            ended, *_ = select.select([child], [], [], 60)
            os.close(child)
            assert ended


class TestFailures:
    @pytest.mark.parametrize(
        ('code', 'status'),
        [
            (f'{WRITE} print("why"); sys.exit(3)', 'failed with exit code 3'),
            (f'{WRITE} print("why", flush=True); os.kill(os.getpid(), 9)', 'killed by signal 9'),
        ],
        ids=['crash', 'kill'],
    )
    def test_figures_log_and_exit_code_are_kept(self, run, record, code, status):
        assert run(step('a', code), step('b')) == {'a': status, 'b': DONE}
        entry = saved(record)['a']
        assert entry['figures'] == dict(value=1)
        assert entry['log'] == ['why']
        assert entry['exit_code'] in (3, -signal.SIGKILL)
        assert 'why' in record.log.read_text()

    def test_half_written_figures_are_none(self, run, record):
        run(step('a', "open(r'{out}', 'w').write('[1, 2')"))
        assert 'figures' not in saved(record)['a']

    @pytest.fixture
    def _interruptible(self):
        # A shell starts what it puts into the background with SIGINT ignored.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

    @pytest.mark.usefixtures('_interruptible')
    def test_a_stop_of_the_planner_keeps_what_was_measured(self, run, record):
        code = f'{WRITE} import signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(600)'
        with pytest.raises(KeyboardInterrupt):
            run(step('a'), step('b', code), step('c'))
        assert statuses(record) == {'a': DONE, 'b': 'interrupted'}
        assert saved(record)['b']['figures'] == dict(value=1)


class TestNeeds:
    def test_a_missing_package_is_a_stated_skip(self, run):
        found = run(step('a', needs=('no_such_package',)), step('b', needs=(COMPILER,)), step('c', needs=('json',)))
        assert found['a'] == 'skipped: this machine lacks no_such_package'
        assert found['b'] == f'skipped: this machine lacks {COMPILER}'
        assert found['c'] == DONE


class TestResume:
    def test_what_is_done_does_not_run_again(self, run, record, tmp_path):
        run(step('a'), step('b', 'raise SystemExit(1)'))
        resumed = Record(tmp_path, MACHINE, rehearsal=False, resume=True)
        run_steps([step('a', 'raise SystemExit(1)'), step('b')], resumed, time.monotonic() + 60, lambda line: None)
        assert statuses(resumed) == {'a': DONE, 'b': DONE}

    def test_after_a_kill_of_the_planner_its_figures_are_kept(self, record, tmp_path):
        record.start(step('a'))
        record.running.write_text('{"value": 2}')
        resumed = Record(tmp_path, MACHINE, rehearsal=False, resume=True)
        assert resumed.steps['a'] | dict(status='interrupted', figures=dict(value=2)) == resumed.steps['a']
        run_steps([step('a')], resumed, time.monotonic(), lambda line: None)
        assert saved(resumed)['a']['figures'] == dict(value=2)

    def test_a_second_try_that_fails_keeps_the_first_ones_figures(self, run, record):
        run(step('a', f'{WRITE} sys.exit(1)'))
        run(step('a', 'raise SystemExit(2)'))
        assert (saved(record)['a']['exit_code'], saved(record)['a']['figures']) == (2, dict(value=1))

    def test_files_are_not_overwritten_unasked(self, record, tmp_path):
        with pytest.raises(UsageError, match=r'nvidia-h100-80gb-hbm3\.json is there; go on with it by --resume'):
            Record(tmp_path, MACHINE, rehearsal=False, resume=False)

    def test_a_file_that_is_no_record_is_named(self, record, tmp_path):
        record.file.write_text('{')
        with pytest.raises(UsageError, match='cannot be read'):
            Record(tmp_path, MACHINE, rehearsal=False, resume=True)
