"""A job ends when one of its processes or machines is lost, says which, and resumes."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.demo_runs import FEW_WORKERS, ROOT, SEGMENTER

from convnext_dense.weights.storage.files import read_file

pytestmark = pytest.mark.e2e

# In seconds.
LIMIT = 15
# How long torchrun waits for a process that it asks to end, before it kills it.
GRACE = 30
OPTIONS = [
    *FEW_WORKERS,
    'model.backbone.arch={"depths":[1,1,1,1],"channels":[32,64,128,128]}',
    'train_dataloader.batch_size=1',
    'train_cfg.val_interval=100000',
    'default_hooks.logger.interval=1',
    'default_hooks.checkpoint.interval=2',
    f'env_cfg.dist_cfg.timeout={LIMIT}',
]


class Job:
    """A training by a machine, which may be one of two."""

    def __init__(
        self, folder: Path, log: Path, steps: int, flags=(), nodes=1, node=0, port=0, processes=2, prefix=(), **env: str
    ) -> None:
        self.log = log
        with log.open('w') as file:
            self.popen = subprocess.Popen(
                [
                    *prefix,
                    *('bash', ROOT / 'tools' / 'dist_train.sh', SEGMENTER, str(processes)),
                    *('--work-dir', folder / 'work', *flags),
                    *('--cfg-options', f'train_cfg.max_iters={steps}', *OPTIONS),
                ],
                cwd=folder,
                env={
                    **os.environ,
                    'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
                    'PYTHONPATH': str(ROOT),
                    'OMP_NUM_THREADS': '1',
                    'CUDA_VISIBLE_DEVICES': '',
                    'NNODES': str(nodes),
                    'NODE_RANK': str(node),
                    'PORT': str(port or free_port()),
                    **env,
                },
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, step: int) -> None:
        """Wait until a step is logged."""
        end = time.monotonic() + 300
        while f'[{step}/' not in re.sub(r'\s', '', self.log.read_text(errors='replace')):
            assert self.popen.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(0.2)

    def process(self, rank: int) -> int:
        """Return the process of a rank."""
        (found,) = [
            child
            for child in children(self.popen.pid)
            if f'RANK={rank}'.encode() in Path(f'/proc/{child}/environ').read_bytes().split(b'\0')
        ]
        return found

    def end(self, seconds: float) -> tuple[int, float, str]:
        """Wait for the end; return the status, the seconds until then, and what was printed."""
        start = time.monotonic()
        status = self.popen.wait(timeout=seconds)
        return status, time.monotonic() - start, self.log.read_text(errors='replace')

    def kill(self) -> None:
        """Kill all that runs on the machine."""
        for process in (self.popen.pid, *children(self.popen.pid)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.popen.wait()


def children(process: int) -> list[int]:
    """Return the processes that a process started."""
    found = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(process)], capture_output=True, text=True).stdout
    return [int(number) for number in found.split()]


@pytest.fixture
def folder(tmp_path, demo_data):
    (tmp_path / 'data').symlink_to(demo_data / 'data')
    return tmp_path


@pytest.fixture
def start(folder):
    """Start jobs that end with the test."""
    jobs = []

    def start_job(*args, **kwargs):
        jobs.append(Job(folder, folder / f'log{len(jobs)}', *args, **kwargs))
        return jobs[-1]

    yield start_job
    for job in jobs:
        job.kill()


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(('127.0.0.1', 0))
        return bound.getsockname()[1]


def test_a_process_that_stands_still_ends_the_job(start):
    job = start(100000)
    job.wait_for(2)
    stopped = job.process(1)
    os.kill(stopped, signal.SIGSTOP)
    status, seconds, printed = job.end(LIMIT + GRACE + 60)
    assert status == 1
    assert f'rank 1 (process {stopped} on {socket.gethostname()}) has given no sign of life for 13.5 s' in printed
    print(f'ended after {seconds:.1f} s')
    assert seconds < LIMIT + GRACE + 30


def test_two_machines_of_which_one_is_lost(start, folder):
    port = free_port()
    first, second = (start(100000, nodes=2, node=node, port=port, processes=1) for node in (0, 1))
    first.wait_for(5)
    second.kill()
    status, seconds, printed = first.end(LIMIT + GRACE + 60)
    assert status == 1
    assert 'error: rank 0 (process ' in printed
    print(f'ended after {seconds:.1f} s')
    saved = int(re.search(r'iter_(\d+)', (folder / 'work' / 'last_checkpoint').read_text())[1])
    assert saved >= 4
    # Both are there again.
    port = free_port()
    both = [start(saved + 2, ['--resume'], nodes=2, node=node, port=port, processes=1) for node in (0, 1)]
    ends = [job.end(300) for job in both]
    assert [status for status, _, _ in ends] == [0, 0], ends[0][2][-3000:]
    assert read_file(folder / 'work' / f'iter_{saved + 2}.pth')['meta']['iter'] == saved + 2


@pytest.fixture
def networks():
    """Two network namespaces with a cable between them: the words that a command in each begins with."""
    names = [f'machine{node}-{os.getpid()}' for node in (0, 1)]
    commands = [f'netns add {name}' for name in names]
    commands.append(f'-n {names[0]} link add wire type veth peer name wire netns {names[1]}')
    for node, name in enumerate(names):
        commands += [f'-n {name} link set lo up', f'-n {name} addr add 10.199.7.{node + 1}/24 dev wire']
        commands.append(f'-n {name} link set wire up')
    try:
        for command in commands:
            done = subprocess.run(['ip', *command.split()], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f'network namespaces cannot be had here: ip {command}: {done.stderr.strip()}')
        yield [['ip', 'netns', 'exec', name] for name in names]
    finally:
        for name in names:
            subprocess.run(['ip', 'netns', 'delete', name], capture_output=True)


@pytest.mark.full
def test_two_machines_of_which_one_cannot_be_reached(start, networks):
    address = dict(MASTER_ADDR='10.199.7.1', GLOO_SOCKET_IFNAME='wire')
    jobs = [
        start(100000, nodes=2, node=node, port=29517, processes=1, prefix=prefix, **address)
        for node, prefix in enumerate(networks)
    ]
    jobs[0].wait_for(5)
    # No connection is closed: nothing arrives any more.
    subprocess.run([*networks[1], 'ip', 'link', 'set', 'wire', 'down'], check=True)
    ends = [job.end(2 * LIMIT + GRACE + 60) for job in jobs]
    for status, seconds, printed in ends:
        print(f'ended after {seconds:.1f} s with status {status}: {printed.splitlines()[-1]}')
        assert status == 1
        assert 'error: rank ' in printed
    assert 'has given no sign of life for 13.5 s' in ends[0][2] or 'Timed out waiting' in ends[0][2]
