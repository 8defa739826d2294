"""Show where the time of a config's training steps goes, by part and by kernel.

The parts are data, preprocessing, each part of the model in the forward pass, losses (with the assignment of targets),
the backward pass, and the optimizer. A part includes the parts inside it. On a GPU, the time is that of the kernels
which a part launches; host idle is the time in which the GPU waits for the host. On a CPU, the time is the host's; host
idle is the time outside PyTorch's operators. In the trace, Chrome and Perfetto show the same parts.
"""

import argparse
import functools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import profile, record_function

from benchmarks.cases import run_benchmark
from benchmarks.measure import WARM_UP, percentile, profiler, time_call
from benchmarks.training.compare import add_batch_arguments, prepare_config
from benchmarks.training.measured_run import MeasuredRun
from benchmarks.training.synthetic_data import padded_shape, take_batches
from convnext_dense.cli.arguments import at_least, parse_cfg_options
from convnext_dense.config import enable_speed, load_config
from convnext_dense.errors import UsageError
from convnext_dense.reports.table import format_table

PREFIX = 'part: '
DATA, PREPROCESSING, LOSSES, BACKWARD, OPTIMIZER = 'data', 'preprocessing', 'losses', 'backward', 'optimizer'
HOST_IDLE = 'host idle'
# Methods of a head in training, next to its forward pass.
HEAD_METHODS = ('loss', 'loss_and_predict', 'predict')
LOSS_METHODS = ('loss_by_feat', 'loss_and_target')
# Parts of a RoI head; what remains is assigning and sampling.
INNER_PARTS = ('_head', '_roi_extractor')
# Name of a node of the backward pass, in the threads of autograd.
AUTOGRAD_NODE = 'autograd::engine::evaluate_function'
ROWS = 12
NAME_LENGTH = 72
_entered: set[str] = set()


def profile_training(
    cfg: Config,
    switches: Sequence[str] = (),
    steps: int = 5,
    with_data: bool = False,
    trace: str | Path | None = None,
    **options: object,
) -> dict:
    """Profile training steps of a config.

    Args:
        cfg: The config.
        switches: Names of `SWITCHES` to train with.
        steps: Number of profiled steps, after untimed ones and as many that are timed without the profiler.
        with_data: Whether to read the config's data, and to include the wait for it.
        trace: Where to save the trace.
        **options: As in `prepare_config`.

    Returns:
        The figures that `table` prints. All times are in seconds per step.

    Raises:
        UsageError: If the config does not train, or its data is missing.
    """
    if steps < 1:
        raise UsageError(f'steps: must be at least 1; got {steps}.')
    with tempfile.TemporaryDirectory() as folder:
        cfg = prepare_config(cfg, Path(folder, 'data'), with_data=with_data, **options)
        enable_speed(cfg, switches)
        run = MeasuredRun(cfg, str(Path(folder, 'work_dir')), 'profile')
        batches: list[dict] = []
        loading = None
        if not with_data:
            loading = time_call(lambda: batches.extend(take_batches(run.loader, steps)), run.device) / steps
        run.start(batches or None)
        for _ in range(max(steps, WARM_UP)):
            run.step()
        unprofiled = percentile([time_call(run.step, run.device) for _ in range(steps)], 50)
        mark_parts(run)
        with profiler(run.device) as record:
            step = time_call(lambda: [run.step() for _ in range(steps)], run.device) / steps
        if trace:
            Path(trace).parent.mkdir(parents=True, exist_ok=True)
            record.export_chrome_trace(str(trace))
    return dict(
        config=Path(cfg.filename).stem if cfg.filename else None,
        switches=list(switches),
        batch_size=cfg.train_dataloader.batch_size,
        steps=steps,
        shapes=[padded_shape(batch) for batch in batches],
        settings=run.settings(),
        step=step,
        unprofiled_step=unprofiled,
        batch_loading=loading,
        **summarize_profile(record, run.device, step, steps),
    )


def mark_parts(run: MeasuredRun) -> None:
    """Give the parts of a run's steps their names in a profile, from outside what is compiled.

    The parts are 'data', 'preprocessing', each child of the model by its name, the heads and extractors in a RoI head,
    'losses', 'backward', and 'optimizer' with the clipping of gradients.

    Args:
        run: A run that has started.
    """
    for name, child in run.model.named_children():
        for module in _members(child):
            for method in ('forward', *HEAD_METHODS):
                _mark(module, method, PREPROCESSING if name == 'data_preprocessor' else name)
            for inner_name, inner in module.named_children():
                if inner_name.endswith(INNER_PARTS):
                    for member in _members(inner):
                        _mark(member, 'forward', f'{name}.{inner_name}')
    for module in run.model.modules():
        for method in LOSS_METHODS:
            _mark(module, method, LOSSES)
    _mark(run.model, 'parse_losses', LOSSES)
    _mark(run.runner.optim_wrapper, 'backward', BACKWARD)
    for method in ('step', 'zero_grad'):
        _mark(run.runner.optim_wrapper, method, OPTIMIZER)
    _mark(run, 'next_batch', DATA)


def _members(module: nn.Module) -> list[nn.Module]:
    """Return the modules that are called: those of a list, such as a cascade's stages, or the module itself."""
    return list(module) if isinstance(module, nn.ModuleList) else [module]


def _mark(owner: object, method: str, part: str) -> None:
    function = getattr(owner, method, None)
    if not callable(function):
        return

    @functools.wraps(function)
    def marked(*args: object, **kwargs: object) -> object:
        # A head's `loss` calls its `forward`, which must not count twice.
        if part in _entered:
            return function(*args, **kwargs)
        _entered.add(part)
        try:
            with record_function(PREFIX + part):
                return function(*args, **kwargs)
        finally:
            _entered.remove(part)

    setattr(owner, method, marked)


def summarize_profile(record: profile, device: torch.device, step: float, steps: int) -> dict:
    """Return the seconds of each part, and of each kernel or, on a CPU, operator.

    Args:
        record: A profile of steps whose parts are marked.
        device: Where they ran.
        step: The seconds of a step.
        steps: How many there are.
    """
    on_gpu = device.type == 'cuda'
    kind = 'device' if on_gpu else 'cpu'
    total, own = f'{kind}_time_total', f'self_{kind}_time_total'
    events = record.key_averages()
    host_events = [event for event in events if event.device_type == DeviceType.CPU]
    # On a GPU, a part has another range, from its first kernel to its last.
    parts = {event.key: getattr(event, total) for event in host_events if event.key.startswith(PREFIX)}
    if on_gpu:
        parts |= {e.key: e.cpu_time_total for e in host_events if e.key == PREFIX + DATA}
        # Autograd launches the backward pass from a thread of its own, outside the part's range.
        nodes = (event for event in host_events if event.key.startswith(AUTOGRAD_NODE))
        parts[PREFIX + BACKWARD] = sum(node.device_time_total for node in nodes)
    where = DeviceType.CUDA if on_gpu else DeviceType.CPU
    kernels = [e for e in events if e.device_type == where and not e.is_user_annotation and getattr(e, own) > 0]
    kernels.sort(key=lambda event: getattr(event, own), reverse=True)
    scale = 1e-6 / steps
    busy = scale * sum(getattr(event, own) for event in kernels)
    return dict(
        parts={**{name.removeprefix(PREFIX): scale * time for name, time in parts.items()}, HOST_IDLE: step - busy},
        kernels={event.key: dict(seconds=scale * getattr(event, own), calls=event.count / steps) for event in kernels},
    )


def table(figures: dict) -> str:
    """Return the figures of `profile_training` as text."""
    step, unprofiled = figures['step'], figures['unprofiled_step']
    parts = [[name, f'{1e3 * s:.1f}', f'{s / step:.1%}'] for name, s in {**figures['parts'], 'step': step}.items()]
    kernels = [
        [
            name[:NAME_LENGTH],
            f'{1e3 * kernel["seconds"]:.1f}',
            f'{kernel["calls"]:.0f}',
            f'{kernel["seconds"] / step:.1%}',
        ]
        for name, kernel in list(figures['kernels'].items())[:ROWS]
    ]
    lines = [
        f'{figures["config"]}, {figures["batch_size"]} images a step, {figures["steps"]} steps, '
        f'{figures["settings"]["precision"]}; {", ".join(figures["switches"]) or "no switches"}',
        format_table(parts, ['part', 'ms', 'share']),
        f'Without the profiler, a step takes {unprofiled * 1e3:.1f} ms.',
    ]
    if loading := figures['batch_loading']:
        lines.append(
            f'The batches were in memory. One process makes one in {loading * 1e3:.1f} ms: this device needs '
            f'{loading / unprofiled:.1f} loading workers.'
        )
    return '\n'.join([*lines, '', format_table(kernels, ['kernel or operator', 'ms', 'calls', 'share'])])


def run(args: argparse.Namespace) -> Iterator[dict]:
    """Yield the figures of the config that the command line names."""
    cfg = load_config(args.config, cfg_options=parse_cfg_options(args.cfg_options))
    options = dict(batch_size=args.batch_size, scale=args.scale, with_data=args.with_data)
    yield profile_training(cfg, args.speed, args.steps, trace=args.trace, **options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_batch_arguments(parser)
    parser.add_argument('--steps', type=at_least(1), default=5, help='number of profiled steps')
    parser.add_argument('--trace', metavar='FILE', help='save the trace, for Chrome and Perfetto')
    run_benchmark(parser, arguments, run, table)


if __name__ == '__main__':
    main()
