"""What the benchmarks share: timing in turn, peak memory, the machine's description, tables."""

import importlib.metadata
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

PACKAGES = ('torch', 'torchvision', 'triton', 'timm', 'mmengine', 'mmcv-lite', 'mmcv', 'mmdet', 'mmsegmentation')

CPU_FILE, DRIVER_FILE = Path('/proc/cpuinfo'), Path('/proc/driver/nvidia/version')
# Above all levels of the profiler's own messages.
SILENT = '99'


def default_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def describe_machine(device: torch.device, *packages: str) -> dict:
    """Return what a figure must be read with: the device, and the versions.

    A CPU has its name, instructions and number of threads; of a GPU, the driver is among the versions where Linux
    tells it.

    Args:
        device: What was measured.
        packages: Names of more packages whose versions matter.

    Example:
        >>> describe_machine(torch.device('cpu'))['device']
        'cpu'
    """
    versions = {'python': platform.python_version()}
    for name in (*PACKAGES, *packages):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    if device.type == 'cuda':
        versions |= {'cuda': torch.version.cuda, 'cudnn': torch.backends.cudnn.version(), **_driver()}
        return dict(device=torch.cuda.get_device_name(device), versions=versions)
    instructions = torch.backends.cpu.get_cpu_capability()
    return dict(
        device='cpu',
        processor=_processor(),
        instructions=instructions,
        threads=torch.get_num_threads(),
        versions=versions,
    )


def _processor() -> str:
    # Python's `platform.processor` knows no more than the architecture on Linux.
    found = re.search(r'^model name\s*:\s*(.+)$', CPU_FILE.read_text(), re.M) if CPU_FILE.is_file() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _driver() -> dict[str, str]:
    found = re.search(r'\b\d{3,}\.\d+(\.\d+)?\b', DRIVER_FILE.read_text()) if DRIVER_FILE.is_file() else None
    return {'driver': found[0]} if found else {}


def synchronize(device: torch.device) -> None:
    """Wait until the device has done its work; a CPU always has."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def time_call(call: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that `call` takes on `device`."""
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - start


def time_in_turn(
    calls: dict[str, Callable[[], object]], device: torch.device, rounds: int, warm_up: int
) -> dict[str, list[float]]:
    """Time each call once a round, so that a machine whose speed drifts treats all alike.

    The order is turned by one each round: no call always follows the same other.

    Args:
        calls: What to time, by name.
        device: Where they run.
        rounds: How many times each is timed.
        warm_up: How many rounds go before, untimed.

    Returns:
        The seconds of each round, by name.

    Example:
        >>> times = time_in_turn({'a': lambda: None, 'b': lambda: None}, torch.device('cpu'), rounds=3, warm_up=1)
        >>> {name: len(seconds) for name, seconds in times.items()}
        {'a': 3, 'b': 3}
    """
    for _ in range(warm_up):
        for call in calls.values():
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for i in range(rounds):
        first = i % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(time_call(calls[name], device))
    return seconds


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of `values` do not exceed, between two of them where it lies so.

    Example:
        >>> percentile([1.0, 2.0, 3.0], 50)
        2.0
    """
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def summarize(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median, the spread and the tail of times, in seconds.

    Example:
        >>> summarize([0.1, 0.2, 0.3])['median']
        0.2
    """
    return dict(
        median=statistics.median(seconds),
        p10=percentile(seconds, 10),
        p90=percentile(seconds, 90),
        p99=percentile(seconds, 99),
    )


def ratio_in_turn(seconds: Sequence[float], others: Sequence[float]) -> float:
    """Return how many times as fast as another a call is: the median of the ratios, round by round.

    Args:
        seconds: Its times.
        others: The other's, of the same rounds.

    Example:
        >>> ratio_in_turn([1.0, 1.0, 2.0], [2.0, 2.0, 2.0])
        2.0
    """
    return statistics.median(other / own for own, other in zip(seconds, others, strict=True))


def profiler(device: torch.device, memory: bool = False) -> profile:
    """Return PyTorch's profiler of a device, without its lines on the error stream.

    Args:
        device: What is profiled, beside the host.
        memory: Whether allocations are recorded.

    Example:
        >>> with profiler(torch.device('cpu')) as record:
        ...     _ = torch.zeros(2) + 1
        >>> [event.key for event in record.key_averages() if event.key == 'aten::add']
        ['aten::add']
    """
    # It is read when the first profile of the process begins.
    os.environ.setdefault('KINETO_LOG_LEVEL', SILENT)
    activities = [ProfilerActivity.CPU]
    if device.type == 'cuda':
        activities.append(ProfilerActivity.CUDA)
    return profile(activities=activities, profile_memory=memory)


def added_memory(call: Callable[[], object], device: torch.device) -> int:
    """Return how many bytes of PyTorch's memory `call` adds at its peak to what was allocated before.

    On a CPU it is summed up from the profiler's record of each allocation.

    Example:
        >>> added_memory(lambda: torch.zeros(1000), torch.device('cpu'))
        4000
    """
    if device.type == 'cuda':
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profiler(device, memory=True) as record:
        call()
    # The raw record: `record.events()` sums allocations up by operator.
    changes = [event for event in record.profiler.kineto_results.events() if event.name() == '[memory]']
    changes.sort(key=lambda event: event.start_ns())
    return max(accumulate((event.nbytes() for event in changes), initial=0))


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of aligned columns, the first to the left and the others to the right.

    Example:
        >>> print(format_table(['model', 'ms'], [['ours', '1.0'], ['timm', '12.0']]))
        model    ms
        ours    1.0
        timm   12.0
    """
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = []
    for row in (header, *rows):
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append('  '.join([first, *others]).rstrip())
    return '\n'.join(lines)


def write_json(file: str, content: dict) -> None:
    """Write figures to `file`, whose folder is made if need be."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(json.dumps(content, indent=2) + '\n')
