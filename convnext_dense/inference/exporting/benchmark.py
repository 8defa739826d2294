"""Measures exported models next to PyTorch: time, memory, and the score on the validation set."""

import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from convnext_dense.build_errors import message_of
from convnext_dense.config.training_options.metrics import main_metric, points_factor
from convnext_dense.errors import UsageError
from convnext_dense.export.formats.lower_precision import precision_in
from convnext_dense.inference.exporting.check import open_exported
from convnext_dense.inference.exporting.scores import validation_score
from convnext_dense.inference.find_model import FoundModel
from convnext_dense.inference.inputs import image_inputs
from convnext_dense.inference.model import Model
from convnext_dense.inference.network import quiet
from convnext_dense.results.result import Result
from convnext_dense.runtime.model import Model as ExportedModel
from convnext_dense.version import __version__

# Images that each way predicts on before it is timed.
WARM_UP = 2
# What a process of its own does, whose peak memory is measured.
LOAD = 'from convnext_dense.runtime import Model; model = Model({file!r})'
LOAD_TORCH = 'from convnext_dense import load_model; model = load_model(*{source!r}, device="cpu")'
LOAD_PROGRAM = (
    'from convnext_dense.export.formats.torch_file import TorchSession; '
    'from convnext_dense.runtime import Model; model = Model(TorchSession({file!r}))'
)
# A process's resource usage would begin with the peak of the one that started it.
PREDICT = '; model.predict({image!r}); print(*[line for line in open("/proc/self/status") if line.startswith("VmHWM")])'


def measure_exports(found: FoundModel, source: Sequence[str], files: Sequence[Path], images: list[str]) -> list[dict]:
    """Return figures of PyTorch, of PyTorch with a compiled backbone, and of each file, on the same images in turn.

    Args:
        found: The model.
        source: What `load_model` finds it by.
        files: Its exported files.
        images: Files to predict on.

    Returns:
        For each way its name, its precision ('fp32', 'half' or 'int8'), the median and the 99th percentile of an
        image's seconds, images a second, PyTorch's median divided by its own, the peak memory in MiB of a process that
        predicts on one image (on Linux), and the score on the validation set, as `score_name` says, with the number of
        its images; and why, where there is none.
    """
    eager = Model(found, 'cpu')
    ways: dict[str, Callable[[list[str]], Iterator[Result]]] = {'PyTorch': _pytorch(eager)}
    problems = {}
    try:
        compiled = Model(found, 'cpu')
        compiled.module.backbone.compile(dynamic=True)
        compiled.predict(images[0])
        ways['PyTorch, compiled backbone'] = _pytorch(compiled)
    except Exception as error:  # noqa: BLE001 - a compiler fails in many ways, which is a row
        problems['PyTorch, compiled backbone'] = message_of(error)
    for file in files:
        ways[str(file)] = ExportedModel(open_exported(file)).stream
    seconds = _time_in_turn(ways, images)
    rows = []
    for name, predict in ways.items():
        times = np.array(seconds[name])
        row: dict[str, Any] = dict(
            way=name,
            precision='fp32' if name.startswith('PyTorch') else precision_in(Path(name)),
            p50_seconds=float(np.median(times)),
            p99_seconds=float(np.percentile(times, 99)),
            images_a_second=float(len(times) / times.sum()),
            times_as_fast=float(np.median(seconds['PyTorch']) / np.median(times)),
            peak_memory_mib=_peak_memory(name, source, images[0]),
        )
        with eager._scope(), quiet():
            try:
                points = points_factor(main_metric(eager.cfg) or '') or 1.0
                row['score'] = points * validation_score(eager.cfg, partial(_counted, row, predict))
            except (OSError, UsageError) as error:
                row['no_score'] = str(error)
        rows.append(row)
    return rows + [dict(way=name, failed=reason) for name, reason in problems.items()]


def _counted(row: dict, predict: Callable[[list[str]], Iterator[Result]], files: list[str]) -> Iterator[Result]:
    row['scored_images'] = len(files)
    return predict(files)


def score_name(found: FoundModel) -> str:
    """Return what the scores of `measure_exports` are.

    Args:
        found: The model.
    """
    metric = main_metric(found.cfg)
    if not metric:
        return 'score'
    return f'{metric.rpartition("/")[2]} (%)' if points_factor(metric) else metric


def _pytorch(model: Model) -> Callable[[list[str]], Iterator[Result]]:
    return lambda files: model.stream(image_inputs(files))


def _time_in_turn(ways: dict[str, Callable], images: list[str]) -> dict[str, list[float]]:
    """Return the seconds that each way takes for each image."""
    for predict in ways.values():
        list(predict(images[:WARM_UP]))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for image in images:
        for name, predict in ways.items():
            start = time.perf_counter()
            list(predict([image]))
            seconds[name].append(time.perf_counter() - start)
    return seconds


def _peak_memory(name: str, source: Sequence[str], image: str) -> float | None:
    """Return the peak memory in MiB of a process that loads a model and predicts on an image."""
    if name.startswith('PyTorch'):
        if 'compiled' in name:
            # A compiler runs in the same process.
            return None
        load = LOAD_TORCH.format(source=list(source))
    else:
        load = (LOAD_PROGRAM if name.endswith('.pt2') else LOAD).format(file=name)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', load + PREDICT.format(image=image)], capture_output=True, text=True
    )
    found = done.stdout.split()
    return int(found[-2]) / 1024 if done.returncode == 0 and len(found) > 1 else None


def machine() -> dict[str, str]:
    """Return what the figures were measured with: the processor, versions and threads."""
    cpus = Path('/proc/cpuinfo')
    # On Linux, `platform.processor` knows only the architecture.
    named = re.search(r'model name\s*: *(.+)', cpus.read_text()) if cpus.is_file() else None
    versions = {'Python': platform.python_version(), 'convnext_dense': __version__, 'PyTorch': torch.__version__}
    for name, label in (('onnxruntime', 'ONNX Runtime'), ('openvino', 'OpenVINO')):
        with suppress(ImportError):
            versions[label] = __import__(name).__version__
    processor = named[1].strip() if named else platform.processor() or platform.machine()
    return dict(Processor=processor, **versions) | {"PyTorch's threads": str(torch.get_num_threads())}
