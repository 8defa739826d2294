"""Time exported models of random weights against PyTorch on a CPU, each in turn on the same image."""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from benchmarks.cases import run_benchmark
from benchmarks.measure import time_in_turn
from convnext_dense.config import load_config
from convnext_dense.export.exporting import ExportOptions, describe_model, export_network
from convnext_dense.export.graphs.find_graph import find_graph
from convnext_dense.export.tracing import without_hooks
from convnext_dense.inference.pipeline import test_pipeline
from convnext_dense.reports.table import format_table
from convnext_dense.runtime.preparing import feed
from convnext_dense.runtime.sessions import open_session

# By the name of a way: the options of its export, and what runs it.
WAYS = {
    'ONNX Runtime': (dict(to='onnx'), 'onnxruntime'),
    'OpenVINO': (dict(to='openvino'), 'openvino'),
    'ONNX Runtime, int8': (dict(to='onnx', int8=True), 'onnxruntime'),
    'OpenVINO, int8': (dict(to='openvino', int8=True), 'openvino'),
}
# How far scores may be apart, and which part of them may be further: weights by chance make near-ties.
TOLERANCE, MOST_DIFFERING = 1e-3, 0.01


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the figures of each way.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='+', help='files or names of configs')
    parser.add_argument('--shape', nargs=2, type=int, default=(512, 512), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--threads', type=int, default=2)
    return run_benchmark(parser, arguments, _run, _table)


def _run(args: argparse.Namespace) -> Iterator[dict]:
    torch.set_num_threads(args.threads)
    for name in args.configs:
        cfg = load_config(name, pretrained=False)
        with DefaultScope.overwrite_default_scope(cfg.default_scope), tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(0)
            model = MODELS.build(cfg.model).eval()
            calls = _calls(cfg, model, tuple(args.shape), args.threads, Path(folder))
            with torch.inference_mode():
                seconds = time_in_turn(calls, torch.device('cpu'), rounds=args.rounds, warm_up=1)
        for way, times in seconds.items():
            ratios = [first / own for first, own in zip(seconds['PyTorch'], times, strict=True)]
            yield dict(
                config=Path(name).stem,
                shape=list(args.shape),
                way=way,
                seconds=statistics.median(times),
                least_seconds=min(times),
                times_as_fast=statistics.median(ratios),
            )


def _calls(
    cfg: Config, model: nn.Module, shape: tuple[int, int], threads: int, folder: Path
) -> dict[str, Callable[[], Any]]:
    """Return what runs the model on an image, by the name of the way."""
    blocks = np.random.default_rng(0).integers(0, 256, (shape[0] // 16, shape[1] // 16, 3), np.uint8)
    image = cv2.resize(blocks, shape[::-1], interpolation=cv2.INTER_CUBIC)
    graph = find_graph(without_hooks(model)).eval()
    calls: dict[str, Callable[[], Any]] = {}
    for number, (way, (options, runtime)) in enumerate(WAYS.items()):
        chosen = ExportOptions(shape=shape, batch=1, **options)
        description = describe_model(model, 'model', [], [], test_pipeline(cfg), chosen)
        inputs, _ = feed(image, description)
        if not calls:
            tensors = [torch.from_numpy(value) for value in inputs.values()]
            calls['PyTorch'] = lambda tensors=tensors: graph(*tensors)
        file = folder / f'{number}{".onnx" if chosen.to == "onnx" else ".xml"}'
        export_network(model, description, file, chosen, [image] if chosen.int8 else [])
        session = open_session(str(file), runtime, threads)
        if not chosen.int8:
            with torch.inference_mode():
                _compare(calls['PyTorch'](), session.run(inputs), way)
        calls[way] = lambda session=session, inputs=inputs: session.run(inputs)
    return calls


def _compare(expected: torch.Tensor | tuple[torch.Tensor, ...], found: dict[str, np.ndarray], way: str) -> None:
    """Raise RuntimeError if a way does not compute what PyTorch computes: scores, or else labels."""
    outputs = expected if isinstance(expected, tuple) else (expected,)
    named = dict(zip(found, outputs, strict=True))
    name = 'scores' if 'scores' in found else 'labels'
    differing = np.abs(named[name].numpy().astype(float) - found[name]) > TOLERANCE
    if differing.mean() > MOST_DIFFERING:
        raise RuntimeError(f'{way}: {differing.mean():.1%} of the {name} differ from PyTorch.')


def _table(case: dict) -> str:
    cells = [case['way'], f'{case["seconds"]:.2f}', f'{case["least_seconds"]:.2f}', f'{case["times_as_fast"]:.2f}']
    return f'{case["config"]}, {case["shape"][0]}x{case["shape"][1]}\n' + format_table(
        [cells], ['', 's (median)', 's (least)', 'times as fast']
    )


if __name__ == '__main__':
    main()
