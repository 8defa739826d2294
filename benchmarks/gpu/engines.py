"""Time TensorRT's engines of models with random weights against PyTorch on the same GPU, in turn on the same image."""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor

from benchmarks.cases import run_benchmark
from benchmarks.measure import default_device, ratio_in_turn, summarize, time_in_turn
from convnext_dense.cli.arguments import at_least
from convnext_dense.config import load_config
from convnext_dense.export.exporting import ExportOptions, describe_model, export_network
from convnext_dense.export.formats.tensorrt_file import check_tensorrt
from convnext_dense.export.graphs.find_graph import find_graph
from convnext_dense.export.tracing import without_hooks
from convnext_dense.inference.pipeline import test_pipeline
from convnext_dense.reports.table import format_table
from convnext_dense.runtime.preparing import feed

PYTORCH = 'PyTorch'
ENGINES = {'TensorRT': dict(half=False), 'TensorRT, 16 bits': dict(half=True)}


def run(args: argparse.Namespace) -> Iterator[dict]:
    """Yield the figures of each engine."""
    check_tensorrt()
    cfg, device = load_config(args.config, pretrained=False), default_device()
    image = np.random.default_rng(0).integers(0, 256, (*args.shape, 3), np.uint8)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope), tempfile.TemporaryDirectory() as folder:
        for number, (way, options) in enumerate(ENGINES.items()):
            model = MODELS.build(cfg.model).eval()
            chosen = ExportOptions(to='tensorrt', shape=tuple(args.shape), batch=1, **options)
            description = describe_model(model, 'model', [], [], test_pipeline(cfg), chosen)
            file = Path(folder, f'{number}.engine')
            export_network(model, description, file, chosen)
            inputs = {name: torch.from_numpy(value) for name, value in feed(image, description)[0].items()}
            graph = find_graph(without_hooks(model)).eval().to(device)
            tensors = [value.to(device) for value in inputs.values()]
            calls = {PYTORCH: lambda graph=graph, tensors=tensors: graph(*tensors), way: _engine(file, inputs)}
            with torch.inference_mode():
                seconds = time_in_turn(calls, device, args.rounds)
            times = {name: summarize(values) for name, values in seconds.items()}
            ratio = ratio_in_turn(seconds[way], seconds[PYTORCH])
            yield dict(config=Path(args.config).stem, shape=args.shape, way=way, times=times, ratio=ratio)


def _engine(file: Path, inputs: dict[str, Tensor]) -> Callable[[], Any]:
    """Return what runs an engine on the current stream, with its inputs and outputs in place."""
    tensorrt = check_tensorrt()
    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine(file.read_bytes())
    context = engine.create_execution_context()
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    # The context reads from all of them.
    kept = [runtime, engine]

    def place(name: str, tensor: Tensor) -> None:
        kept.append(tensor)
        context.set_tensor_address(name, tensor.data_ptr())

    for name in (name for name in names if name in inputs):
        # What shapes follow from is read by the host.
        on_host = engine.get_tensor_location(name) == tensorrt.TensorLocation.HOST
        context.set_input_shape(name, tuple(inputs[name].shape))
        place(name, inputs[name] if on_host else inputs[name].cuda())
    context.infer_shapes()
    for name in (name for name in names if name not in inputs):
        dtype = torch.from_numpy(np.empty(0, tensorrt.nptype(engine.get_tensor_dtype(name)))).dtype
        place(name, torch.empty(tuple(context.get_tensor_shape(name)), dtype=dtype, device='cuda'))

    def call() -> list[Any]:
        if not context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise RuntimeError(f'TensorRT cannot run {file.name}.')
        return kept

    return call


def table(figures: dict) -> str:
    """Return the figures of an engine as text."""
    rows = [[name, f'{1e3 * times["median"]:.2f}'] for name, times in figures['times'].items()]
    name = f'{figures["config"]}, {"x".join(map(str, figures["shape"]))}'
    return f'{format_table(rows, [name, "ms"])}\n{figures["way"]}: {figures["ratio"]:.2f} times as fast as PyTorch'


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='file or name of a config')
    parser.add_argument('--shape', nargs=2, type=at_least(32), default=(512, 512), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--rounds', type=at_least(1), default=20)
    run_benchmark(parser, arguments, run, table)


if __name__ == '__main__':
    main()
