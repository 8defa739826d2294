"""A step that was made again, as text."""

from convnext_dense.reports.table import format_table
from convnext_dense.training.steps.replayed_step import ReplayedStep
from convnext_dense.weights.matching import printable, shorten


def replay_text(step: ReplayedStep) -> str:
    """Return what a step was, what it gives now, and where its values that are not finite come from.

    Args:
        step: As `replay` returns it.

    Example:
        >>> print(replay_text(replay('non_finite_step_812.pt')))  # doctest: +SKIP
        step 812, images street_7.jpg, street_9.jpg
        loss      recorded  now
        loss_cls       nan  nan
        ...
    """
    recorded = step.recorded
    images = [printable(str(path)) for path in recorded.images]
    title = f'step {recorded.step}{f", images {shorten(images)}" if images else ""}'
    names = dict.fromkeys([*recorded.losses, *step.losses])
    rows = [(printable(name), _show(recorded.losses.get(name)), _show(step.losses.get(name))) for name in names]
    found = str(step.diagnosis)
    lines = [title, format_table(rows, ['loss', 'recorded', 'now']), f'{found[0].upper()}{found[1:]}.', _verdict(step)]
    if recorded.device != step.device:
        lines.append(f'It was made on {printable(recorded.device)} then, and on {step.device} now; bits may differ.')
    if step.recorded.process[-1] > 1:
        lines.append('It was one of several processes. The gradients are those of its images alone.')
    return '\n'.join(lines)


def _verdict(step: ReplayedStep) -> str:
    different = step.different_losses
    if different:
        return f'{len(different)} of {len(step.losses)} losses differ from the recorded ones: {shorten(different)}.'
    losses = f'{len(step.losses)} of {len(step.losses)} losses are the recorded ones bit for bit'
    if step.has_same_gradients is None:
        return f'{losses}; the gradients were not recorded.'
    if not step.has_same_gradients:
        return f'{losses}; the gradients are not.'
    return f'{losses}, and so are the gradients of {step.diagnosis.count} parameters.'


def _show(value: object) -> str:
    # All digits, so that one sees which bits differ.
    return '-' if value is None else repr(value) if isinstance(value, float) else printable(str(value))
