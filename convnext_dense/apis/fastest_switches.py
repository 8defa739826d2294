"""Times a config's training with each switch for speed, and takes those that pay on this machine."""

import copy
import gc
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger, print_log
from mmengine.registry import DefaultScope

from convnext_dense.apis.stepped_run import SteppedRun
from convnext_dense.config.schedule.run_length import counts_epochs, length_of, measure_epoch
from convnext_dense.config.speed.enable import enable_speed
from convnext_dense.config.speed.fast_transforms import use_fast_transforms
from convnext_dense.config.speed.switches import SWITCHES
from convnext_dense.errors import UsageError, describe
from convnext_dense.training.memory.batch_probe import probed_device, without_traces

# They act on a GPU alone; bf16 is also one that a CPU may be slower with.
GPU_ONLY = ('bf16', 'cudnn_benchmark', 'prefetch', 'waits')
# `data` gives the same samples sooner, so it is taken untimed. `ddp` acts between processes.
UNTIMED = ('data', 'ddp')
# What a run makes the current one of.
MANAGERS = (MMLogger, MessageHub, DefaultScope)
# The first steps compile, tune and fill caches. The timed ones end at the first of the two limits.
WARM_UP, STEPS, SECONDS = 3, 20, 10.0
FEWEST = 3
# A run of fewer seconds is over before compiling pays.
SHORT_RUN = 300.0
# A gain that is smaller may be noise.
LEAST_GAIN = 1.03


@dataclass(frozen=True)
class Trial:
    """How fast a config trains with some switches.

    Args:
        switches: Their names.
        step: The median seconds of a step.
        start: The seconds of the first steps.
    """

    switches: tuple[str, ...]
    step: float
    start: float


def find_switches(cfg: Config) -> list[str]:
    """Return the switches that make a config's training faster on this machine, and say what each gains.

    Each switch takes some steps with random weights and the config's own data, then all that gain together. A switch is
    taken only if the run is long enough to earn the time in which it compiles or tunes.

    Args:
        cfg: As it would be trained, with its dataset. It stays as it is.

    Raises:
        UsageError: If the config trains in several processes, or makes no step without switches either.

    Example:
        >>> from convnext_dense.config import load_config
        >>> find_switches(load_config('mask-rcnn_convnext-t_fpn_amp-1x_coco'))  # doctest: +SKIP
        ['channels_last', 'data']
    """
    if cfg.get('launcher', 'none') != 'none':
        raise UsageError('speed: auto times steps in one process; find the switches without a launcher, and name them.')
    device = probed_device() or torch.device('cpu')
    candidates = [name for name in SWITCHES if name not in UNTIMED and (device.type == 'cuda' or name not in GPU_ONLY)]
    _say(f'speed: auto times steps with each of {", ".join(candidates)}, on {device}; this takes minutes.')
    with DefaultScope.overwrite_default_scope(cfg.default_scope), without_traces(device):
        chosen = _find(cfg, candidates)
    if use_fast_transforms(copy.deepcopy(cfg)):
        chosen.append('data')
    names = ' '.join(chosen)
    _say(f'speed: auto takes {names}; --speed {names} leaves the timing out.' if chosen else 'speed: auto takes none.')
    return chosen


def _find(cfg: Config, candidates: Sequence[str]) -> list[str]:
    """Return the candidates that pay."""
    try:
        plain = _try(cfg, ())
    except Exception as error:
        raise UsageError(f'speed: auto cannot make a step of training ({describe(error)}); name switches.') from error
    steps = _count_steps(cfg)
    _say(f'speed: without switches, a step takes {plain.step:.3f} s.')
    if steps * plain.step < SHORT_RUN:
        candidates = [name for name in candidates if name != 'compile']
        _say(f'speed: compile is not timed, because the run takes {steps * plain.step:.0f} s.')
    paying = [trial for name in candidates if (trial := _tried(cfg, (name,), plain)) and _pays(trial, plain, steps)]
    if len(paying) < 2:
        return [name for trial in paying for name in trial.switches]
    best = min(paying, key=lambda trial: trial.step)
    together = _tried(cfg, [name for trial in paying for name in trial.switches], plain)
    return list(together.switches if together and together.step < best.step else best.switches)


def _count_steps(cfg: Config) -> float:
    """Return how many steps the run has; infinity if its loop does not say."""
    count = length_of(cfg.train_cfg)
    if count is None:
        return math.inf
    return count * measure_epoch(cfg).steps if counts_epochs(cfg.train_cfg) else count


def _tried(cfg: Config, switches: Sequence[str], plain: Trial) -> Trial | None:
    """Return a trial that works, and say what it gains; None if it fails."""
    names = ' '.join(switches)
    try:
        trial = _try(cfg, switches)
    # A switch that a model, a compiler or the memory does not allow is one not to take.
    except Exception as error:  # noqa: BLE001
        _say(f'speed: {names} does not work here: {describe(error)}.')
        return None
    _say(
        f'speed: {names}: {trial.step:.3f} s a step, {plain.step / trial.step:.2f} times as fast; its first {WARM_UP} '
        f'steps take {trial.start:.0f} s.'
    )
    return trial


def _pays(trial: Trial, plain: Trial, steps: float) -> bool:
    """Return whether switches gain more than noise, and more in the whole run than their first steps take longer."""
    gained = steps * (plain.step - trial.step)
    return plain.step > LEAST_GAIN * trial.step and gained > trial.start - plain.start


def _try(cfg: Config, switches: Sequence[str]) -> Trial:
    cfg = copy.deepcopy(cfg)
    enable_speed(cfg, switches)
    others = {kind: dict(kind._instance_dict) for kind in MANAGERS}
    # pycocotools prints what it does.
    with tempfile.TemporaryDirectory() as work_dir, redirect_stdout(StringIO()):
        run = SteppedRun(cfg, work_dir, 'speed')
        try:
            run.start()
            start = sum(_seconds(run) for _ in range(WARM_UP))
            seconds: list[float] = []
            while len(seconds) < FEWEST or (len(seconds) < STEPS and sum(seconds) < SECONDS):
                seconds.append(_seconds(run))
        finally:
            # The next one has the memory to itself, compiles for itself, and what is said goes to the log as before.
            del run
            for kind, instances in others.items():
                kind._instance_dict.clear()
                kind._instance_dict.update(instances)
            torch.compiler.reset()
            gc.collect()
            torch.cuda.empty_cache()
    return Trial(tuple(switches), statistics.median(seconds), start)


def _seconds(run: SteppedRun) -> float:
    start = time.perf_counter()
    run.step()
    if run.device.type == 'cuda':
        torch.cuda.synchronize(run.device)
    return time.perf_counter() - start


def _say(sentence: str) -> None:
    print_log(sentence, logger='current')
