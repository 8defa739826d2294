"""Trains one config with several backbones, by the identical recipe, and reports what each scores and costs."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.config import Config, ConfigDict

from convnext_dense.analysis.complexity import default_shape, measure_complexity
from convnext_dense.comparison.report import write_report
from convnext_dense.config.load import check_data, file_name, load_config
from convnext_dense.errors import UsageError
from convnext_dense.hooks.training_cost_hook import FILE
from convnext_dense.meta_device import build_on_meta
from convnext_dense.weights import read_weights

ROOT = Path(__file__).resolve().parents[2]
# Where a run's checkpoints are, which no other run has.
OWN = ('work_dir',)


@dataclass
class Run:
    """One training of a comparison: its backbone, seed, config, folder, and `training_cost.json` once it is done."""

    backbone: str
    seed: int
    cfg: Config
    folder: Path
    cost: dict | None = None

    @property
    def config(self) -> Path:
        """The file of its config, beside the folder, into which training writes one that says ``resume``."""
        return self.folder.with_suffix('.py')

    def load(self) -> None:
        """Read what the run cost, if it is done."""
        file = self.folder / FILE
        self.cost = json.loads(file.read_text()) if file.is_file() else None


@dataclass
class Comparison:
    """All runs of a comparison, and of each backbone the parameters and multiply-adds.

    Args:
        config: The config's path.
        shape: The height and width at which multiply-adds are counted.
        runs: The runs.
        complexity: Parameters and multiply-adds of the whole model, by backbone; None where they cannot be counted.
        command: What makes it again.
    """

    config: str
    shape: tuple[int, int]
    runs: list[Run]
    complexity: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    command: str = ''


def compare_backbones(
    config: str,
    backbones: Sequence[str],
    work_dir: str | Path,
    seeds: Sequence[int] = (0,),
    pretrained: bool = True,
    cfg_options: dict | None = None,
    shape: tuple[int, int] | None = None,
    gpus: int = 0,
    command: str = '',
) -> Comparison:
    """Train a config with each backbone and seed, one after another, and write the report after each.

    What is in `work_dir` already is not trained again, and what was interrupted goes on.

    Args:
        config: A config of this package's, mmdet's or mmseg's.
        backbones: Names of backbones, as in `parse_backbone`.
        work_dir: Where the runs and the report go.
        seeds: Each backbone is trained once with each.
        pretrained: Whether the backbones start from published weights; or else all from scratch.
        cfg_options: Keys to change in every run, such as ``{'train_cfg.max_epochs': 3}``.
        shape: The height and width at which multiply-adds are counted. Defaults to the papers'.
        gpus: How many GPUs of this machine to train on, by PyTorch's distributed launcher; 0 for one process.
        command: What the report says it was made by.

    Raises:
        UsageError: If a backbone does not fit the config, its weights or the data are not there, a run failed, or the
            work dir holds runs of another recipe, or another comparison. Nothing that is done is lost.
        KeyboardInterrupt: If it is interrupted or terminated; the training ends with it.
    """
    for flag, values in (('--backbones', backbones), ('--seeds', seeds)):
        if repeated := [each for each in values if list(values).count(each) > 1]:
            raise UsageError(f'{flag}: {repeated[0]} is named twice.')
    work_dir = Path(work_dir)
    runs = []
    complexity = {}
    for backbone in backbones:
        cfg = load_config(config, cfg_options=cfg_options, backbone=backbone, pretrained=pretrained)
        check_data(cfg, 'train', 'val')
        _check_weights(cfg, backbone)
        shape = tuple(shape or default_shape(cfg))
        complexity[backbone] = _complexity(cfg, shape)
        runs += [_run(cfg, backbone, seed, gpus, work_dir) for seed in seeds]
    comparison = Comparison(config, shape, runs, complexity, command)
    with _alone(work_dir):
        for run in runs:
            _check_folder(run)
        for i, run in enumerate(runs, 1):
            run.load()
            print(f'[{i}/{len(runs)}] {run.backbone}, seed {run.seed}: {run.folder}', flush=True)
            if run.cost is None:
                _train(run, gpus)
                run.load()
            else:
                print('  done before', flush=True)
            write_report(comparison, work_dir)
    return comparison


def _check_weights(cfg: Config, backbone: str) -> None:
    """Fetch the weights now: a run that lacks them would say so after those before it are trained."""
    init_cfg = cfg.model.backbone.get('init_cfg') or {}
    if init_cfg.get('type') == 'Pretrained':
        print(f'{backbone}: looking for {init_cfg.checkpoint}', flush=True)
        read_weights(init_cfg.checkpoint)


def _complexity(cfg: Config, shape: tuple[int, int]) -> tuple[int, int | None]:
    try:
        total = measure_complexity(cfg, shape)
    except UsageError as error:
        print(f'FLOPs are left out: {error}', flush=True)
        model = build_on_meta(cfg.model, cfg.default_scope)
        return sum(each.numel() for each in model.parameters()), None
    return total.params, total.flops


def _run(cfg: Config, backbone: str, seed: int, gpus: int, work_dir: Path) -> Run:
    folder = work_dir / file_name(backbone) / f'seed-{seed}'
    own = Config(cfg.to_dict(), filename=cfg.filename)
    own.work_dir = str(folder)
    own.randomness = ConfigDict(seed=seed)
    # How many images a step has is a part of the recipe.
    own.num_processes = max(gpus, 1)
    own.custom_hooks = [*own.get('custom_hooks', []), dict(type='convnext_dense.TrainingCostHook')]
    return Run(backbone, seed, own, folder)


def _check_folder(run: Run) -> None:
    """Raise UsageError if the folder holds a run of another recipe."""
    if run.config.is_file() and _recipe(Config.fromfile(run.config)) != _recipe(run.cfg):
        raise UsageError(f'--work-dir: {run.folder} holds a run of another recipe; give another --work-dir.')
    run.folder.mkdir(parents=True, exist_ok=True)
    run.cfg.dump(run.config)


def _recipe(cfg: Config) -> str:
    # As JSON, because tuples and lists are the same in it.
    return json.dumps(
        {key: value for key, value in cfg.to_dict().items() if key not in OWN}, default=str, sort_keys=True
    )


def _train(run: Run, gpus: int) -> None:
    launcher = ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={gpus}'] if gpus else []
    arguments = [str(ROOT / 'tools' / 'train.py'), str(run.config), '--work-dir', str(run.folder), '--resume']
    if gpus:
        arguments += ['--launcher', 'pytorch']
    log = run.folder / 'train.log'
    with log.open('a') as file:
        process = subprocess.Popen([sys.executable, *launcher, *arguments], stdout=file, stderr=subprocess.STDOUT)
        try:
            status = process.wait()
        finally:
            # However this process ends, its training ends with it.
            process.terminate()
            process.wait()
    if status != 0:
        last = ''.join(log.read_text().splitlines(keepends=True)[-15:])
        raise UsageError(
            f'{run.backbone}: training stopped with status {status}; its log is {log} and ends in\n{last}\n'
            'The same command goes on from here.'
        )


@contextmanager
def _alone(work_dir: Path) -> Iterator[None]:
    """Hold the work dir for this process, and have a request to terminate end it as an interrupt does."""
    work_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(work_dir / '.lock', timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(f'--work-dir: another comparison is running in {work_dir}.') from error
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        lock.release()
