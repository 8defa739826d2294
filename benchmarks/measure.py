"""What all benchmarks share: timing in turn, peak memory, and what the machine is and can do."""

import importlib.metadata
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

# Untimed rounds, steps or batches. The first ones allocate memory, choose kernels, compile, and start workers.
WARM_UP = 5
PACKAGES = (
    'torch',
    'torchvision',
    'triton',
    'timm',
    'mmengine',
    'mmcv-lite',
    'mmcv',
    'mmdet',
    'mmsegmentation',
    'mmpretrain',
    'transformers',
    'faster-coco-eval',
    'pycocotools',
)
CPU_FILE, DRIVER_FILE = Path('/proc/cpuinfo'), Path('/proc/driver/nvidia/version')
# Sizes at which a device reaches its full rate.
MATMUL_SIZE = {'cuda': 8192, 'cpu': 2048}
COPY_BYTES = {'cuda': 2**30, 'cpu': 2**28}
RATE_ROUNDS = 10
# Above every level of the profiler's own messages.
SILENT = '99'


def default_device() -> torch.device:
    """Return the GPU if there is one, otherwise the CPU."""
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def describe_machine(device: torch.device) -> dict:
    """Return what a figure depends on: the device and the versions of the packages.

    A CPU is described by its name, instruction set and number of threads. For a GPU, the versions include the driver's
    if Linux reports it.

    Example:
        >>> describe_machine(torch.device('cpu'))['device']
        'cpu'
    """
    versions = {'python': platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    if device.type == 'cuda':
        driver = _find(r'\b(\d{3,}\.\d+(?:\.\d+)?)\b', DRIVER_FILE)
        versions |= {'cuda': torch.version.cuda, 'cudnn': torch.backends.cudnn.version()}
        versions |= {'driver': driver} if driver else {}
        return dict(device=torch.cuda.get_device_name(device), versions=versions)
    return dict(
        device='cpu',
        # On Linux, `platform.processor` knows only the architecture.
        processor=_find(r'model name\s*: *(.+)', CPU_FILE) or platform.processor() or platform.machine(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
        versions=versions,
    )


def _find(pattern: str, file: Path) -> str | None:
    found = re.search(pattern, file.read_text()) if file.is_file() else None
    return found and found[1].strip()


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished its work. A CPU always has."""
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
    calls: dict[str, Callable[[], object]], device: torch.device, rounds: int, warm_up: int = WARM_UP
) -> dict[str, list[float]]:
    """Time every call once a round, so that a drift of the machine's speed affects all of them alike.

    The order rotates by one each round, so that no call always follows the same other one.

    Args:
        calls: What to time, by name.
        device: Where the calls run.
        rounds: How many times each call is timed.
        warm_up: How many untimed rounds go first.

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
    """Return a percentile, interpolated between the two nearest values.

    Example:
        >>> percentile([1.0, 2.0, 4.0], 75)
        3.0
    """
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def summarize(seconds: Sequence[float]) -> dict[str, float]:
    """Return the mean, median and percentiles of times, in seconds.

    Example:
        >>> summarize([0.1, 0.2, 0.6])['median']
        0.2
    """
    percentiles = {f'p{percent}': percentile(seconds, percent) for percent in (10, 90, 99)}
    return dict(mean=statistics.mean(seconds), median=statistics.median(seconds), **percentiles)


def ratio_in_turn(seconds: Sequence[float], others: Sequence[float]) -> float:
    """Return how many times as fast as another call a call is: the median of the ratios, round by round.

    Args:
        seconds: The times of the call.
        others: The times of the other call, in the same rounds.

    Example:
        >>> ratio_in_turn([1.0, 1.0, 2.0], [2.0, 2.0, 2.0])
        2.0
    """
    return statistics.median(other / own for own, other in zip(seconds, others, strict=True))


def profiler(device: torch.device, memory: bool = False) -> profile:
    """Return PyTorch's profiler, without its messages on stderr.

    Args:
        device: What is profiled in addition to the host.
        memory: Whether to record allocations.

    Example:
        >>> with profiler(torch.device('cpu')) as record:
        ...     _ = torch.zeros(2) + 1
        >>> [event.key for event in record.key_averages() if event.key == 'aten::add']
        ['aten::add']
    """
    # Read when the first profile of the process begins.
    os.environ.setdefault('KINETO_LOG_LEVEL', SILENT)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == 'cuda' else [])]
    return profile(activities=activities, profile_memory=memory)


def added_memory(call: Callable[[], object], device: torch.device) -> int:
    """Return the peak of PyTorch's memory during `call`, in bytes above what was allocated before.

    On a CPU it is the running sum of the allocations that the profiler recorded.

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
    # The raw events: `record.events()` sums allocations by operator.
    changes = [event for event in record.profiler.kineto_results.events() if event.name() == '[memory]']
    changes.sort(key=lambda event: event.start_ns())
    return max(accumulate((event.nbytes() for event in changes), initial=0))


def measure_rates(dtype: torch.dtype, device: torch.device) -> dict[str, float]:
    """Measure how fast the hardware can be.

    Returns:
        ``matmul``, the FLOP/s of a large matrix product in `dtype`; and ``bandwidth``, the bytes per second that a
        large copy reads and writes.
    """
    size = MATMUL_SIZE[device.type]
    a, b = torch.randn(2, size, size, device=device, dtype=dtype)
    source = torch.randint(256, (COPY_BYTES[device.type],), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    calls = {'matmul': lambda: a @ b, 'bandwidth': lambda: target.copy_(source)}
    work = {'matmul': 2 * size**3, 'bandwidth': 2 * source.numel()}
    seconds = time_in_turn(calls, device, RATE_ROUNDS)
    return {name: work[name] / statistics.median(seconds[name]) for name in calls}
