"""Names the parts of a training step to PyTorch's profiler, from outside of what may be compiled."""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from mmengine.model import is_model_wrapper
from torch import nn
from torch.profiler import record_function

from benchmarks.training.stepped_run import Trainer

PREFIX = 'part: '
DATA, PREPROCESSING, LOSSES, OPTIMIZER = 'data', 'preprocessing', 'losses', 'optimizer'
# A head's work in training begins in one of these; 'losses' within it are what it does with its outputs.
ENTRIES = ('forward', 'loss', 'loss_and_predict', 'predict')
LOSS_ENTRIES = ('loss_by_feat', 'loss_and_target')
# Parts of a RoI head that are told apart from what it does itself: assigning and sampling.
INNER = ('_head', '_roi_extractor')


@contextmanager
def marked_parts(trainer: Trainer) -> Iterator[None]:
    """Have every part of the trainer's steps carry its name in a profile, as ``part: <name>``.

    The parts are 'data', 'preprocessing', each child of the model by its name, the heads and extractors within a RoI
    head, 'losses' with the assignment of targets, and 'optimizer' with the clipping of gradients.

    Args:
        trainer: A trainer that has started.
    """
    model = trainer.model.module if is_model_wrapper(trainer.model) else trainer.model
    wrapper = trainer.runner.optim_wrapper
    with ExitStack() as stack:

        def mark(owner: object, method: str, part: str) -> None:
            if callable(getattr(owner, method, None)):
                stack.enter_context(_replaced(owner, method, named(part, getattr(owner, method))))

        def mark_call(module: nn.Module, part: str) -> None:
            # A compiled module's forward is traced: only the call of what was compiled is outside.
            mark(module, 'forward' if module._compiled_call_impl is None else '_compiled_call_impl', part)

        for name, child in model.named_children():
            for each in _members(child):
                if name == 'data_preprocessor':
                    mark_call(each, PREPROCESSING)
                    continue
                mark_call(each, name)
                for method in ENTRIES[1:]:
                    mark(each, method, name)
                for inner_name, inner in each.named_children():
                    if inner_name.endswith(INNER):
                        for member in _members(inner):
                            mark_call(member, f'{name}.{inner_name}')
        for module in model.modules():
            for method in LOSS_ENTRIES:
                mark(module, method, LOSSES)
        mark(model, 'parse_losses', LOSSES)
        for method in ('step', 'zero_grad'):
            mark(wrapper, method, OPTIMIZER)
        mark(trainer, 'next_batch', DATA)
        yield


def named(part: str, function: Callable) -> Callable:
    """Return a function that does the same within a range of the profiler.

    Example:
        >>> named('backbone', len)([1, 2])
        2
    """

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        with record_function(PREFIX + part):
            return function(*args, **kwargs)

    return call


def _members(module: nn.Module) -> list[nn.Module]:
    """Return the modules that are called: a list's own, such as those of a cascade's stages."""
    return list(module) if isinstance(module, nn.ModuleList) else [module]


@contextmanager
def _replaced(owner: object, name: str, value: object) -> Iterator[None]:
    was_own, before = name in vars(owner), getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if was_own:
            setattr(owner, name, before)
        else:
            delattr(owner, name)
