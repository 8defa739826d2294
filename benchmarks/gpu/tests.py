"""Runs the tests that a GPU changes, and writes each one's outcome as it comes.

In the kernels' tests PyTorch is deterministic: nothing is timed, so that only the tiles that a test asks for are
compiled, and new memory is filled with NaN, which shows what a kernel leaves out.
"""

import argparse
import importlib.util
import os
import time
from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from benchmarks.cases import write_json
from benchmarks.gpu.step import ROOT

KERNELS = 'tests/kernels'
AUTOTUNING = 'test_autotune'
PLACES = (KERNELS, 'tests/compat/ops', 'tests/training/loading')
# They compile for GPUs that need not be there, and count memory without one.
WITHOUT_A_GPU = ('tests/kernels/test_gpu_code.py', 'tests/kernels/test_memory.py')
FEW = ('tests/compat/ops/test_mmcv_ops.py', 'tests/kernels/test_depthwise_conv.py')
MOST_PROCESSES = 8
# How often the file is written.
SECONDS = 1.0


class Outcomes:
    """Writes the outcome of each test.

    Args:
        file: The file.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.tests: dict[str, dict] = {}
        self.written = 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test went: of its setup, itself, and what is done after it, what did not pass."""
        entry = self.tests.setdefault(report.nodeid, dict(outcome='passed', seconds=0.0))
        entry['seconds'] = round(entry['seconds'] + report.duration, 3)
        if report.outcome != 'passed' and entry['outcome'] != 'failed':
            entry['outcome'] = report.outcome
            entry['why'] = str(report.longrepr)[-2000:]
        if time.monotonic() - self.written > SECONDS:
            self.write()

    def pytest_sessionfinish(self) -> None:
        """Write what came last."""
        self.write()

    def write(self) -> None:
        """Write the file."""
        counts = {'passed': 0, 'failed': 0, 'skipped': 0}
        for test in self.tests.values():
            counts[test['outcome']] += 1
        write_json(self.file, dict(counts=counts, tests=self.tests))
        self.written = time.monotonic()


@pytest.fixture(autouse=True)
def first_tiles(request: pytest.FixtureRequest) -> Generator[None]:
    """Make PyTorch deterministic in the kernels' tests, except in those of the timing."""
    place = request.node.nodeid
    torch.use_deterministic_algorithms(KERNELS in place and AUTOTUNING not in place, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


def main() -> None:
    """Run the tests, and exit as pytest does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, required=True, help='file of the outcomes')
    parser.add_argument('--few', action='store_true', help='a few tests, to try it')
    args = parser.parse_args()
    out = args.out.resolve()
    os.chdir(ROOT)
    words = ['-p', 'benchmarks.gpu.tests', '-p', 'no:cacheprovider', '-q', '-m', 'not full and not e2e']
    words += [f'--ignore={place}' for place in WITHOUT_A_GPU]
    if torch.cuda.is_available() and importlib.util.find_spec('xdist'):
        words += ['-n', str(min(MOST_PROCESSES, os.cpu_count() or 1))]
    if args.few:
        words += ['-k', 'OnGpu or another_device or bias_of_another_length', *FEW]
    raise SystemExit(int(pytest.main([*words, *([] if args.few else PLACES)], [Outcomes(out)])))


if __name__ == '__main__':
    main()
