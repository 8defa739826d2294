"""Says in a few lines what a run is."""

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.hooks import EarlyStoppingHook as EarlyStopping
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from convnext_dense.config.schedule.forecast import Forecast, count_checkpoints, count_evaluations
from convnext_dense.config.schedule.run_length import RunLength
from convnext_dense.config.schedule.warm_up import warm_up_share
from convnext_dense.hooks.run_time_hook import FIRST_STEPS, duration_of
from convnext_dense.registry import HOOKS
from convnext_dense.training.quiet_start import SHOWN_AT_START, show_everything
from convnext_dense.training.unwrap import unwrap
from convnext_dense.weights.origin import initial_weights
from convnext_dense.wording import counted

SHOWN_CLASSES = 6
RANDOM = 'random initialization'
# What tells one backbone of a type from another.
SIZES = ('arch', 'depth', 'model_name', 'depths')


@HOOKS.register_module()
class RunSummaryHook(Hook):
    """Logs a summary before the first step: device, model, data, schedule, and where the results go.

    It is what the terminal shows of the start; `QuietStart` keeps the rest for the log file.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.RunSummaryHook')]
    """

    # After the other hooks' own beginnings.
    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Log the summary of a training."""
        loader = runner.train_dataloader
        val_loop = runner.val_loop
        self._show(
            runner,
            {
                'train data': _data(loader.dataset),
                'val data': _data(val_loop.dataloader.dataset) if val_loop else 'none',
                'classes': _classes(loader.dataset),
                **forecast_run(runner).lines(),
                'duration': _duration(runner),
                **_kept_weights(runner),
                'optimizer': _optimizer(runner),
                'seed': str(runner.seed),
            },
        )

    def before_test(self, runner: Runner) -> None:
        """Log the summary of a test."""
        dataset = runner.test_dataloader.dataset
        self._show(runner, {'test data': _data(dataset), 'classes': _classes(dataset)})

    def before_val(self, runner: Runner) -> None:
        """Show what is logged from now on; validation alone has no summary."""
        show_everything(runner.logger)

    def _show(self, runner: Runner, facts: dict[str, str]) -> None:
        model = unwrap(runner.model)
        facts = {
            'device': _device(runner),
            'config': runner.cfg.filename or '-',
            'model': f'{type(model).__name__}, {_parameters(model)}',
            'backbone': f'{_backbone(model)}; {_weights(runner, model)}',
            **facts,
            'work dir': runner.work_dir,
            'log file': str(runner.logger.log_file),
        }
        width = max(map(len, facts))
        lines = [f'  {name:{width}}  {value}' for name, value in facts.items()]
        runner.logger.info('\n'.join(['the run:', *lines]), extra=SHOWN_AT_START)
        show_everything(runner.logger)


def forecast_run(runner: Runner) -> Forecast:
    """Return what a training will do.

    Args:
        runner: A runner whose train loop is built.
    """
    loop, loader = runner.train_loop, runner.train_dataloader
    by_epoch = not hasattr(loop, 'dataloader_iterator')
    length = RunLength(loop.max_epochs if by_epoch else loop.max_iters, by_epoch, lambda: max(len(loader), 1))
    evaluations = 0
    if runner.val_loop:
        evaluations = count_evaluations(length.count, loop.val_begin, loop.dynamic_milestones, loop.dynamic_intervals)
    return Forecast(
        images=len(loader.dataset),
        batch_size=getattr(loader.batch_sampler, 'batch_size', loader.batch_size),
        processes=get_world_size(),
        accumulation=getattr(runner.optim_wrapper, '_accumulative_counts', 1),
        length=length,
        warm_up=warm_up_share(runner.cfg, length),
        evaluations=evaluations,
        checkpoints=sum(_checkpoints(hook, length) for hook in runner.hooks if isinstance(hook, CheckpointHook)),
        done=runner.iter,
    )


def _checkpoints(hook: CheckpointHook, length: RunLength) -> int:
    if hook.by_epoch and not length.by_epoch:
        return int(hook.save_last)
    count = length.count if hook.by_epoch else length.steps
    return count_checkpoints(count, hook.interval, hook.save_begin, hook.save_last)


def _kept_weights(runner: Runner) -> dict[str, str]:
    """Return which weights are validated and kept, and when the run ends early, as far as it is asked to."""
    facts = {}
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            facts['average'] = f'{hook.ema_cfg["type"]} of the weights, which is validated and saved'
        elif isinstance(hook, CheckpointHook) and hook.save_best:
            facts['best'] = f'the checkpoint with the best {", ".join(hook.save_best)} is kept'
        elif isinstance(hook, EarlyStopping):
            rise = f'without {hook.monitor} better by {abs(hook.min_delta):g}'
            facts['early end'] = f'after {counted(hook.patience, "evaluation")} {rise}'
    return facts


def _device(runner: Runner) -> str:
    device = next(runner.model.parameters()).device
    name = (
        torch.cuda.get_device_name(device) if device.type == 'cuda' else f'{device}, {torch.get_num_threads()} threads'
    )
    processes = f'{get_world_size()} processes on ' if get_world_size() > 1 else ''
    wrapper = type(runner.optim_wrapper).__name__
    precision = {'AmpOptimWrapper': ', mixed precision', 'BFloat16OptimWrapper': ', bfloat16'}.get(wrapper, '')
    return f'{processes}{name}{precision}'


def _parameters(model: nn.Module) -> str:
    total = sum(parameter.numel() for parameter in model.parameters())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return f'{total / 1e6:.1f} M parameters, {"all" if trained == total else f"{trained / 1e6:.1f} M"} trainable'


def _backbone(model: nn.Module) -> str:
    backbone = getattr(model, 'backbone', None)
    if backbone is None:
        return 'none'
    sizes = [getattr(backbone, name, None) for name in SIZES]
    size = next((value for value in sizes if isinstance(value, str | int | list | tuple)), None)
    return type(backbone).__name__ + ('' if size is None else f' {size}')


def _weights(runner: Runner, model: nn.Module) -> str:
    """Return what the weights of the backbone, or of the whole model, are."""
    if runner._resume and runner.iter:
        return f'the model is resumed at step {runner.iter}'
    if runner._load_from:
        return f'the model is from {runner._load_from}'
    if found := initial_weights(getattr(model, 'backbone', None)):
        return f'weights: {found}'
    # Those that wrap timm's models, such as mmseg's TIMMBackbone, keep no word of it.
    settings = (runner.cfg.get('model') or {}).get('backbone') or {}
    return "weights: the library's own" if settings.get('pretrained') is True else RANDOM


def _duration(runner: Runner) -> str:
    """Return how long a run will take, by the steps before its checkpoint; or when that will be known."""
    steps = runner.max_iters - runner.iter
    measured = runner.message_hub.log_scalars.get('train/time')
    if measured is not None:
        a_step = measured.mean(FIRST_STEPS)
        return f'about {duration_of(steps * a_step)} for {counted(steps, "step")} of {a_step:.3g} s, as before'
    return f'known after {FIRST_STEPS} steps' if steps > FIRST_STEPS else f'too short to tell: {steps} steps'


def _data(dataset: Dataset) -> str:
    samples: Any = dataset
    innermost: Any = dataset
    while hasattr(innermost, 'dataset') or getattr(innermost, 'datasets', None):
        innermost = innermost.dataset if hasattr(innermost, 'dataset') else innermost.datasets[0]
    parts = len(getattr(dataset, 'datasets', []))
    and_more = f', the first of {parts} datasets' if parts > 1 else ''
    count = f'{counted(len(samples), "image")}'
    if parts < 2 and hasattr(innermost, '__len__') and len(innermost) != len(samples):
        count = f'{counted(len(samples), "sample")} of {len(innermost)} images'
    folders = (getattr(innermost, 'data_prefix', None) or {}).values()
    folder = next(iter(folders), '') or getattr(innermost, 'data_root', '') or ''
    annotations = getattr(innermost, 'ann_file', '') or ''
    if annotations and folder:
        annotations = f', {Path(annotations).name}'
    where = f' in {str(folder).rstrip("/")}{annotations}' if folder or annotations else ''
    return f'{count}{where}{and_more}'


def _classes(dataset: Dataset) -> str:
    names = (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()
    names = [names] if isinstance(names, str) else list(map(str, names))
    if not names:
        return 'none'
    more = len(names) - SHOWN_CLASSES
    return f'{len(names)}: {", ".join(names[:SHOWN_CLASSES])}' + (f' and {more} more' if more > 0 else '')


def _optimizer(runner: Runner) -> str:
    wrapper = runner.optim_wrapper
    if not isinstance(wrapper, OptimWrapper):
        return type(wrapper).__name__
    optimizer = wrapper.optimizer
    values = {name: optimizer.defaults.get(name) for name in ('lr', 'weight_decay')}
    schedulers = runner.param_schedulers if isinstance(runner.param_schedulers, list) else []
    words = [type(optimizer).__name__, *(f'{name} {value:g}' for name, value in values.items() if value is not None)]
    return ', '.join([*words, *dict.fromkeys(type(scheduler).__name__ for scheduler in schedulers)])
