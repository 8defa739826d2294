"""Profiles whole training steps: which part, and which kernel, takes the time."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from torch.profiler import record_function

from benchmarks.measure import (
    describe_machine,
    format_table,
    percentile,
    profiler,
    synchronize,
    time_call,
    write_json,
)
from benchmarks.training.compare import prepare_config
from benchmarks.training.parts import DATA, LOSSES, OPTIMIZER, PREPROCESSING, marked_parts
from benchmarks.training.stepped_run import Trainer
from benchmarks.training.synthetic_data import padded_shape, take_batches, use_made_up_data
from benchmarks.training.timeline import OTHER, WINDOW, Timeline, read_timeline
from convnext_dense.config.load import check_data
from convnext_dense.errors import UsageError

TRACE, FIGURES = 'trace.json', 'profile.json'
GAPS = 'host gaps'
# The order of the rows, around the model's own parts.
FIRST, LAST = (DATA, PREPROCESSING), (LOSSES, OPTIMIZER, OTHER)
# The first steps allocate memory, choose kernels, and compile.
WARM_UP = 3
KERNELS = 12
NAME_LENGTH = 72


def profile_training(
    cfg: Config,
    switches: Sequence[str] = (),
    batch_size: int | None = None,
    scale: float | None = None,
    steps: int = 5,
    with_data: bool = False,
    out: str | None = None,
) -> dict:
    """Profile training steps of a config.

    Args:
        cfg: The config.
        switches: Names of `convnext_dense.config.speed.SWITCHES` to train with.
        batch_size: Pictures a step. Defaults to the config's.
        scale: By how much pictures are shrunk or enlarged, for a machine that is small.
        steps: How many steps are profiled, after as many that warm up and as many that are only timed.
        with_data: Whether the config's data is read, and waited for; else made-up batches lie in memory.
        out: A folder for the figures, and for the trace, which Chrome and Perfetto show.

    Returns:
        The figures, as `profile_table` prints them and as they are saved.

    Raises:
        UsageError: If the config does not train, or its data is not there.
    """
    if steps < 1:
        raise UsageError(f'--steps must be at least 1; got {steps}.')
    cfg = prepare_config(prepare_config(cfg, batch_size=batch_size, scale=scale), switches)
    with tempfile.TemporaryDirectory() as folder:
        if with_data:
            check_data(cfg, 'train')
        else:
            cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
            cfg.train_dataloader.pop('prefetch_factor', None)
            use_made_up_data(cfg, Path(folder, 'data'), count=max(64, 2 * cfg.train_dataloader.batch_size))
        trainer = Trainer(cfg, str(Path(folder, 'work_dir')), 'profile')
        batches, loading = None, None
        if not with_data:
            batches = []
            loading = time_call(lambda: batches.extend(take_batches(trainer.loader, steps)), trainer.device) / steps
        trainer.start(batches)
        trace = Path(out or folder, TRACE)
        trace.parent.mkdir(parents=True, exist_ok=True)
        timeline, unprofiled = _profile(trainer, steps, trace)
    device = trainer.device
    result = dict(
        config=Path(cfg.filename).stem if cfg.filename else None,
        switches=list(switches),
        batch_size=cfg.train_dataloader.batch_size,
        steps=steps,
        shapes=[padded_shape(batch) for batch in batches] if batches else None,
        machine=describe_machine(device),
        settings=trainer.settings(),
        step=timeline.seconds / steps,
        unprofiled_step=unprofiled,
        batch_loading=loading,
        **_per_step(timeline, steps),
    )
    result['bottleneck'] = dict(
        part=max(_rows(result), key=lambda row: row[1] + row[2])[0],
        kernel=next(iter(result['kernels']), None),
    )
    if out:
        write_json(str(Path(out, FIGURES)), result)
    return result


def _profile(trainer: Trainer, steps: int, trace: Path) -> tuple[Timeline, float]:
    """Return the timeline, and the median seconds of a step that is not profiled."""
    device = trainer.device
    for _ in range(max(steps, WARM_UP)):
        trainer.step()
    unprofiled = percentile([time_call(trainer.step, device) for _ in range(steps)], 50)
    with marked_parts(trainer), profiler(device) as record:
        # The profiler's own start falls into this one.
        trainer.step()
        synchronize(device)
        with record_function(WINDOW):
            for _ in range(steps):
                trainer.step()
            synchronize(device)
    record.export_chrome_trace(str(trace))
    return read_timeline(json.loads(trace.read_text(errors='replace'))['traceEvents']), unprofiled


def _per_step(timeline: Timeline, steps: int) -> dict:
    parts = {
        name: dict(forward=time.forward / steps, backward=time.backward / steps, gap=time.gap / steps)
        for name, time in timeline.parts.items()
    }
    kernels = {
        name: dict(seconds=seconds / steps, calls=calls / steps) for name, (seconds, calls) in timeline.kernels.items()
    }
    return dict(parts=parts, kernels=kernels)


def _rows(result: dict) -> list[tuple[str, float, float]]:
    """Return each part's seconds in the forward and the backward pass, and the gaps of all together."""
    parts = result['parts']
    names = [*FIRST, *(name for name in parts if name not in FIRST + LAST), *LAST]
    rows = [(name, parts[name]['forward'], parts[name]['backward']) for name in names if name in parts]
    return [*rows, (GAPS, sum(time['gap'] for time in parts.values()), 0.0)]


def profile_table(result: dict) -> str:
    """Return the figures of `profile_training` as text."""
    step = result['step']

    def row(name: str, forward: float, backward: float) -> list[str]:
        both = forward + backward
        return [name, *(f'{each * 1e3:.1f}' for each in (forward, backward, both)), f'{both / step:.1%}']

    rows = [row(*each) for each in _rows(result)]
    rows.append(row('step', *(sum(each[i] for each in _rows(result)) for i in (1, 2))))
    kernels = list(result['kernels'].items())[:KERNELS]
    kernel_rows = [
        [name[:NAME_LENGTH], f'{each["seconds"] * 1e3:.1f}', f'{each["calls"]:.0f}', f'{each["seconds"] / step:.1%}']
        for name, each in kernels
    ]
    machine, switches = result['machine'], ', '.join(result['switches']) or 'no switches'
    where = 'GPU' if machine['device'] != 'cpu' else 'CPU'
    gaps = sorted(((time['gap'], name) for name, time in result['parts'].items() if time['gap']), reverse=True)
    lines = [
        f'{result["config"]}, {result["batch_size"]} pictures a step, {result["steps"]} steps, {machine["device"]}, '
        f'torch {machine["versions"]["torch"]}, {result["settings"]["precision"]}; {switches}',
        format_table(['part', 'forward ms', 'backward ms', 'ms', 'share'], rows),
        f'The host gaps, in which no {"kernel" if where == "GPU" else "operator"} runs, are in '
        + ', '.join(f'{name} {gap * 1e3:.1f}' for gap, name in gaps[:5])
        + ' ms.',
        f'Without the profiler a step takes {result["unprofiled_step"] * 1e3:.1f} ms.',
    ]
    if result['batch_loading']:
        workers = result['batch_loading'] / result['unprofiled_step']
        lines.append(
            f'The batches lay in memory; one process makes one in {result["batch_loading"] * 1e3:.1f} ms, so '
            f'{workers:.1f} worker{"s" * (workers > 1)} must load for this device.'
        )
    lines += [
        '',
        format_table([f'{where} kernel' if where == 'GPU' else 'operator', 'ms', 'calls', 'share'], kernel_rows),
    ]
    part, kernel = result['bottleneck']['part'], result['bottleneck']['kernel']
    lines += ['', f'The next bottleneck: {part}; of the {"kernels" if where == "GPU" else "operators"}, {kernel}.']
    return '\n'.join(lines)
