"""Trains one config with several backbones, by the identical recipe, and reports what each scores and costs."""

import json
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.config import Config, ConfigDict

from convnext_dense.analysis import default_shape, measure_complexity
from convnext_dense.apis.errors.run_errors import errors_as_sentences
from convnext_dense.apis.launching.processes import Command, launch
from convnext_dense.apis.reporting.pages import report_finished_run
from convnext_dense.apis.training import check_train_data
from convnext_dense.checks import RunPlan, check_run
from convnext_dense.comparison.report import write_report
from convnext_dense.comparison.runs import Comparison, Run
from convnext_dense.config.load import file_name, load_config
from convnext_dense.errors import RunError, UsageError
from convnext_dense.meta_device import build_on_meta
from convnext_dense.weights import read_weights

# The keys in which two runs of one recipe may differ.
KEYS_OF_A_RUN = ('work_dir',)


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
    recipe: str | None = None,
    data: str | None = None,
    boxes_to_masks: bool = False,
    skip_check: Collection[str] = (),
    epochs: int | None = None,
    iters: int | None = None,
    accumulate: int | None = None,
    ema: bool = False,
) -> Comparison:
    """Train a config with each backbone and seed, one after another, and write the report after each.

    Runs that `work_dir` already holds are not trained again, and interrupted ones continue. A run that fails does not
    stop the others, and the report names it.

    Args:
        config: A config of this package's, mmdet's or mmseg's.
        backbones: Names of backbones, as in `parse_backbone`.
        work_dir: Where the runs and the report go.
        seeds: Each backbone is trained once with each.
        pretrained: Whether the backbones start from published weights. Otherwise all start from scratch.
        cfg_options: Keys to change in every run, such as ``{'train_cfg.max_epochs': 3}``.
        shape: The height and width in pixels at which multiply-adds are counted. Defaults to the papers'.
        gpus: How many GPUs of this machine to train on, by PyTorch's distributed launcher; 0 for one process.
        command: The command that the report names as its source.
        recipe: The name of an optimizer to train all of them with, as in `set_recipe`; by default the config's own.
        data: A dataset to train all of them on, as in `set_data`; by default the config's own.
        boxes_to_masks: Whether objects of `data` without a mask get their box as one.
        skip_check: Names of checks to leave out, as in `check_run`.
        epochs: How many epochs to train, as in `set_length`; by default the config's.
        iters: How many steps to train, in place of `epochs`.
        accumulate: Over how many steps gradients are accumulated, as in `load_config`.
        ema: Whether weights are averaged, as in `set_ema`.

    Raises:
        UsageError: If a backbone does not fit the config, its weights or the data are not there, or the work dir holds
            runs of another recipe, or another comparison.
        RunError: At the end, if a run failed. The others and their report are kept.
        KeyboardInterrupt: If it is interrupted or terminated; the training ends with it.

    Example:
        >>> compare_backbones(
        ...     'mask-rcnn_convnext-t_fpn_amp-1x_coco', ['convnext_tiny', 'timm/resnet50'], 'work_dirs/compare'
        ... )  # doctest: +SKIP
    """
    for argument, values in (('backbones', backbones), ('seeds', seeds)):
        if repeated := [value for value in values if list(values).count(value) > 1]:
            raise UsageError(f'{argument}: {repeated[0]} is named twice.')
    work_dir = Path(work_dir)
    runs = []
    complexity = {}
    for backbone in backbones:
        cfg = load_config(
            config,
            str(work_dir),
            cfg_options,
            backbone=backbone,
            pretrained=pretrained,
            recipe=recipe,
            data=data,
            boxes_to_masks=boxes_to_masks,
            epochs=epochs,
            iters=iters,
            accumulate=accumulate,
            ema=ema,
            processes=max(gpus, 1),
        )
        check_train_data(cfg)
        is_first = not runs
        runs += [_run(cfg, backbone, seed, gpus, work_dir) for seed in seeds]
        if is_first:
            # The data and the schedule are the same for all.
            check_run(RunPlan(runs[0].cfg, ('train', 'val')), skip_check)
        _fetch_weights(cfg, backbone)
        shape = tuple(shape or default_shape(cfg))
        complexity[backbone] = _complexity(cfg, shape)
    if shape is None:
        raise UsageError('backbones: name at least one.')
    comparison = Comparison(config, shape, runs, complexity, command)
    with _lock_work_dir(work_dir):
        for run in runs:
            _prepare_folder(run)
        for i, run in enumerate(runs, 1):
            run.load()
            print(f'[{i}/{len(runs)}] {run.name}: {run.folder}', flush=True)
            if run.cost is None:
                _train_or_note(run, gpus, skip_check)
            else:
                print('  done before', flush=True)
            write_report(comparison, work_dir)
        report_finished_run(work_dir)
    if comparison.failed:
        failures = ' '.join(f'{run.name}: {run.failure}' for run in comparison.failed)
        count = f'{len(comparison.failed)} of {len(runs)} runs failed.'
        raise RunError(f'{count} {failures} The same command tries again what has no result.')
    return comparison


def _fetch_weights(cfg: Config, backbone: str) -> None:
    """Fetch the weights now. Otherwise missing ones would stop the comparison after the runs before are trained."""
    init_cfg = cfg.model.backbone.get('init_cfg') or {}
    if init_cfg.get('type') == 'Pretrained':
        print(f'{backbone}: looking for {init_cfg.checkpoint}', flush=True)
        read_weights(init_cfg.checkpoint)


def _complexity(cfg: Config, shape: tuple[int, int]) -> tuple[int, int | None]:
    try:
        total = measure_complexity(cfg, shape)
    except UsageError as error:
        with errors_as_sentences(cfg):
            model = build_on_meta(cfg.model, cfg.default_scope)
        print(f'FLOPs are left out: {error}', flush=True)
        return sum(parameter.numel() for parameter in model.parameters()), None
    return total.params, total.flops


def _run(cfg: Config, backbone: str, seed: int, gpus: int, work_dir: Path) -> Run:
    folder = work_dir / file_name(backbone) / f'seed-{seed}'
    run_cfg = Config(cfg.to_dict(), filename=cfg.filename)
    run_cfg.work_dir = str(folder)
    run_cfg.randomness = ConfigDict(seed=seed)
    # The number of images a step is a part of the recipe.
    run_cfg.num_processes = max(gpus, 1)
    run_cfg.custom_hooks = [*(run_cfg.get('custom_hooks') or []), dict(type='convnext_dense.TrainingCostHook')]
    return Run(backbone, seed, run_cfg, folder)


def _prepare_folder(run: Run) -> None:
    """Write the run's config, or raise UsageError if the folder holds a run of another recipe."""
    if run.config_file.is_file() and _recipe(Config.fromfile(run.config_file)) != _recipe(run.cfg):
        raise UsageError(f'work_dir: {run.folder} holds a run of another recipe; give another work_dir.')
    run.folder.mkdir(parents=True, exist_ok=True)
    run.cfg.dump(run.config_file)


def _recipe(cfg: Config) -> str:
    # As JSON, in which tuples and lists are the same.
    recipe = {key: value for key, value in cfg.to_dict().items() if key not in KEYS_OF_A_RUN}
    return json.dumps(recipe, default=str, sort_keys=True)


def _train_or_note(run: Run, gpus: int, skip_check: Collection[str]) -> None:
    """Train, or note why that failed, so that the other runs are made and reported."""
    try:
        _train(run, gpus, skip_check)
    except RunError as error:
        run.failure = _reason(str(error))
        print(f'  failed: {run.failure}', flush=True)
        return
    run.load()


def _reason(message: str) -> str:
    """Return what the failed command printed as its error, or the last line of its log."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line.removeprefix('error: ') for line in lines if line.startswith('error: ')]
    return (errors or lines)[-1]


def _train(run: Run, gpus: int, skip_check: Collection[str]) -> None:
    skipped = ['--skip-check', *skip_check] if skip_check else []
    arguments = ['train', str(run.config_file), '--work-dir', str(run.folder), '--resume', *skipped]
    launch(Command(arguments, run.folder / 'train.log', processes=gpus))


@contextmanager
def _lock_work_dir(work_dir: Path) -> Generator[None]:
    """Hold the work dir for this process."""
    work_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(work_dir / '.lock', timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(f'work_dir: another comparison is running in {work_dir}.') from error
    try:
        yield
    finally:
        lock.release()
