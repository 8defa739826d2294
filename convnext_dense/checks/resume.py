"""Looks for a run that cannot resume, or that resumes otherwise than its config says."""

from collections.abc import Iterator
from pathlib import Path

from mmengine.logging import MessageHub

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config.find import URL_MARK
from convnext_dense.config.foreign import config_as_data
from convnext_dense.config.tree import bare_type, value_at
from convnext_dense.errors import CheckpointError
from convnext_dense.training.resuming.finished import is_marked_finished
from convnext_dense.training.resuming.training_state import TRAINING_STATE, is_training_state
from convnext_dense.weights.matching import printable, shorten

# An optimizer's settings and a schedule are the checkpoint's, unless `resume_with` says otherwise; all else is the
# config's.
SCHEDULE = ('optim_wrapper.optimizer', 'optim_wrapper.paramwise_cfg', 'param_scheduler')
FROM_CONFIG = ('train_dataloader.dataset', 'train_dataloader.batch_size', 'model.teacher.image_size')
# What a distillation's file says of itself, and what its weights are for.
DISTILLED = ('model.teacher.model_name', 'model.teacher.checkpoint', 'model.backbone')
MAX_STEPS = 2**31
ABSENT = 'absent'


def find(plan: RunPlan) -> Iterator[Finding]:
    """Look at what a checkpoint holds besides weights, and compare its config, read as data, with the run's."""
    if not plan.cfg.get('resume') or not plan.checkpoint:
        return
    try:
        content = plan.content
    except CheckpointError:
        # The check `checkpoint` says why.
        return
    if problem := _why_not(content):
        yield Finding(f'resume: {plan.checkpoint} {problem}; it can be loaded as weights, by load_from.')
        return
    if 'optimizer' not in content:
        yield Finding(
            f'resume: {plan.checkpoint} has no state of the optimizer and the schedules (mmengine saves none with the '
            'best checkpoint); they start again from the beginning.',
            is_error=False,
        )
    yield from _compare(plan, config_as_data(content['meta'].get('cfg')), 'optimizer' in content)


RESUME = Check('resume', "the checkpoint's state of training and its config", find)


def describe_finished(plan: RunPlan) -> str:
    """Return a sentence if the checkpoint that a run resumes is at the end of its schedule, else nothing.

    Args:
        plan: The run.
    """
    if not plan.cfg.get('resume') or not plan.checkpoint:
        return ''
    hooks = [bare_type(hook.get('type')) for hook in plan.cfg.get('custom_hooks') or []]
    if 'TrainingCostHook' in hooks:
        # It makes up for a last validation that was cut off.
        return ''
    try:
        content = plan.content
    except CheckpointError:
        return ''
    if _why_not(content):
        return ''
    loop = plan.cfg.get('train_cfg') or {}
    unit = 'iter' if loop.get('max_iters') else 'epoch'
    limit, reached = loop.get(f'max_{unit}s'), content['meta'][unit]
    if not isinstance(limit, int) or reached < limit:
        return ''
    state, folder = content.get(TRAINING_STATE), plan.cfg.get('work_dir') or '.'
    # Saved before the last validation, which may have been cut off.
    may_be_cut = plan.cfg.get('val_cfg') and state and not state['has_validated']
    if may_be_cut and not is_marked_finished(folder, content['meta']['iter']):
        return ''
    return (
        f'the run is finished: {plan.checkpoint} is at {unit} {reached} of {limit}, and nothing is left to train; '
        f'give it more {unit}s (train_cfg.max_{unit}s) to train longer.'
    )


def _why_not(content: dict) -> str:
    """Say why a checkpoint cannot be resumed; empty if it can."""
    meta, hub = content.get('meta'), content.get('message_hub')
    counts = [meta.get(unit) for unit in ('epoch', 'iter')] if isinstance(meta, dict) else [None]
    if not all(type(count) is int and count in range(MAX_STEPS) for count in counts):
        return 'has weights alone: its meta does not say at which epoch and iteration it was saved'
    if not isinstance(content.get('state_dict'), dict):
        return 'has no state_dict, the weights of the model'
    if hub is None:
        return 'has no message_hub, the log that mmengine resumes'
    parts = [hub.get(part) for part in ('log_scalars', 'runtime_info', 'resumed_keys')] if isinstance(hub, dict) else []
    if not isinstance(hub, MessageHub) and not (parts and all(isinstance(part, dict) for part in parts)):
        return 'has a message_hub of another form than mmengine saves'
    if not isinstance(content.get('optimizer', {}), dict):
        return 'has an optimizer of another form than mmengine saves'
    if not isinstance(content.get('param_schedulers', []), list | dict):
        return 'has param_schedulers of another form than mmengine saves'
    if (state := content.get(TRAINING_STATE)) is not None and not is_training_state(state):
        return f'has a {TRAINING_STATE} of another form than this package saves'
    return ''


def _compare(plan: RunPlan, saved: dict, has_optimizer: bool) -> Iterator[Finding]:
    if not saved:
        return
    own, saved = _with_ends(plan.cfg.to_dict()), _with_ends(saved)
    models = [bare_type(str(value_at(config, 'model.type') or '')) for config in (own, saved)]
    if all(models) and models[0] != models[1]:
        yield Finding(
            f'resume: model.type is {models[0]} in the config, and {plan.checkpoint} is of a {printable(models[1])}; '
            'resume with the config that it was trained with, or load its weights alone by load_from.'
        )
        return
    types = [str(value_at(config, 'optim_wrapper.optimizer.type') or '') for config in (own, saved)]
    if has_optimizer and all(types) and bare_type(types[0]) != bare_type(types[1]):
        yield Finding(
            f'resume: optim_wrapper.optimizer.type is {types[0]} in the config, and {plan.checkpoint} has the state of '
            f'{printable(types[1])}; give the same optimizer, or load the weights alone by load_from.'
        )
        return
    if value_at(saved, 'model.teacher'):
        pairs = [(key, _without_folder(value_at(own, key)), _without_folder(value_at(saved, key))) for key in DISTILLED]
        if differences := [difference for pair in pairs for difference in _differences(*pair)]:
            yield Finding(
                f'resume: {plan.checkpoint} is of another distillation, by {shorten(differences)}; give its '
                'teacher and its student, or take another work_dir.'
            )
            return
    by_config = plan.cfg.get('resume_with') == 'config'
    holders = ((SCHEDULE if has_optimizer else (), "the config's" if by_config else "the checkpoint's"),)
    for keys, holder in (*holders, (FROM_CONFIG, "the config's")):
        pairs = [(key, value_at(own, key), value_at(saved, key)) for key in keys]
        differences = [difference for pair in pairs for difference in _differences(*pair)]
        if differences:
            values = 'value counts' if len(differences) == 1 else 'values count'
            remedy = '' if by_config or keys is FROM_CONFIG else '; resume_with config lets the config decide'
            yield Finding(
                f'resume: the config differs from that of {plan.checkpoint} in {shorten(differences)}: {holder} '
                f'{values}{remedy}.',
                is_error=False,
            )


def _with_ends(config: dict) -> dict:
    """Give schedules without an end that of the training, as mmengine does when it saves them."""
    schedules = config.get('param_scheduler')
    schedules = [schedules] if isinstance(schedules, dict) else schedules
    if not isinstance(schedules, list | tuple) or not all(isinstance(schedule, dict) for schedule in schedules):
        return config
    ends = {True: value_at(config, 'train_cfg.max_epochs'), False: value_at(config, 'train_cfg.max_iters')}
    return {**config, 'param_scheduler': [dict(end=ends[bool(s.get('by_epoch', True))]) | s for s in schedules]}


def _differences(key: str, own: object, saved: object) -> Iterator[str]:
    """Name the values that differ. The steps of a dataset's pipeline may: they are the config's, as one expects."""
    if isinstance(own, dict) and isinstance(saved, dict):
        for name in [*own, *(name for name in saved if name not in own)]:
            if name != 'pipeline':
                yield from _differences(f'{key}.{name}', own.get(name, ABSENT), saved.get(name, ABSENT))
    elif isinstance(own, list | tuple) and isinstance(saved, list | tuple) and len(own) == len(saved):
        for i, (own_part, saved_part) in enumerate(zip(own, saved, strict=True)):
            yield from _differences(f'{key}.{i}', own_part, saved_part)
    elif own != saved:
        yield f'{key} ({_short(own)} instead of {_short(saved)})'


def _without_folder(value: object) -> object:
    """Return a part of a config with the names of its files. The folder of a file is that of one machine."""
    if isinstance(value, dict):
        return {name: _without_folder(part) for name, part in value.items()}
    return Path(value).name if isinstance(value, str) and URL_MARK not in value else value


def _short(value: object) -> str:
    text = str(value)
    return f'{text[:57]}...' if len(text) > 60 else text
