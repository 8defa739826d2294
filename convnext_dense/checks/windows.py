"""Finds settings of a segmenter's test that its first image would end on, or that do nothing."""

from collections.abc import Iterator

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_plan import RunPlan

PLACE = 'model.test_cfg'


def window_findings(plan: RunPlan) -> Iterator[Finding]:
    """Return what is wrong with how a segmenter cuts images and joins logits.

    Args:
        plan: What the run is about to read.
    """
    settings = plan.cfg.get('model', {}).get('test_cfg')
    if plan.cfg.get('default_scope') != 'mmseg' or not isinstance(settings, dict):
        return
    slides = settings.get('mode', 'whole') == 'slide'
    for key in ('crop_size', 'stride') if slides else ():
        sides = settings.get(key)
        if not (isinstance(sides, list | tuple) and len(sides) == 2 and all(_is_count(side) for side in sides)):
            yield Finding(f'{PLACE}.{key}: a height and a width in pixels of at least 1 are needed; got {sides!r}.')
    if not isinstance(settings.get('argmax_first', False), bool):
        yield Finding(f'{PLACE}.argmax_first: it is True or False; got {settings.argmax_first!r}.')
    if 'windows_per_batch' not in settings:
        return
    together = settings.windows_per_batch
    if not _is_count(together):
        yield Finding(f'{PLACE}.windows_per_batch: it is a whole number of at least 1; got {together!r}.')
    elif not slides:
        yield Finding(f"{PLACE}.windows_per_batch: without mode='slide', there are no windows.", is_error=False)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


WINDOWS = Check('windows', "how a segmenter's test cuts images and joins logits", window_findings)
