"""Whether the optimizer can train the backbone."""

from collections.abc import Iterator

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config.tree import bare_type

# ConvNeXt is trained by AdamW at 1e-4 or so. SGD's usual rates, 0.01 and 0.02, are for ResNets.
HIGH_SGD_RATE = 0.005


def _find(plan: RunPlan) -> Iterator[Finding]:
    if 'train' not in plan.splits:
        return
    optimizer = (plan.cfg.get('optim_wrapper') or {}).get('optimizer') or {}
    lr = optimizer.get('lr')
    if bare_type(optimizer.get('type')) != 'SGD' or not isinstance(lr, int | float) or lr < HIGH_SGD_RATE:
        return
    if 'ConvNeXt' in _backbones(plan.cfg.model):
        yield Finding(
            f'optim_wrapper.optimizer is SGD with lr={lr:g}, which hardly trains a ConvNeXt; recipe=convnext takes the '
            'AdamW that it was published with.',
            is_error=False,
        )


def _backbones(model: object) -> Iterator[str]:
    """Yield the types of a model's backbones, without their scopes."""
    if not isinstance(model, dict):
        return
    for key, part in model.items():
        if key == 'backbone' and isinstance(part, dict):
            yield bare_type(part.get('type'))
        yield from _backbones(part)


OPTIMIZER = Check('optimizer', 'optim_wrapper.optimizer and model.backbone', _find)
