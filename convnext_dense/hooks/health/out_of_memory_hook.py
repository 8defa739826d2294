"""Goes on with smaller batches when the first epoch runs out of memory, and says what helps when a later one does."""

from functools import partial

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner

from convnext_dense.registry import HOOKS
from convnext_dense.training.memory.split_step import SplittingStep
from convnext_dense.training.quiet_start import SHOWN_AT_START


@HOOKS.register_module()
class OutOfMemoryHook(Hook):
    """Trains each batch in two parts, with gradients accumulated, once the device's memory has run out.

    That is for the first epoch since the start, and for one process: several would wait for each other's gradients. The
    images of an update and the learning rate stay. A head that normalizes its loss by the objects of a batch does so by
    those of a part.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.OutOfMemoryHook')]
    """

    def before_train(self, runner: Runner) -> None:
        """Watch the model's steps."""
        wrapper = runner.optim_wrapper
        is_alone = get_world_size() == 1 and not is_model_wrapper(runner.model)
        if not is_alone or not isinstance(wrapper, OptimWrapper) or isinstance(wrapper, OptimWrapperDict):
            return
        last = runner.iter + len(runner.train_dataloader)

        def say(size: int, parts: int) -> None:
            per_part = -(-size // parts)
            runner.logger.warning(
                f'out of memory at step {runner.iter + 1}: from now on, each batch of {size} images is trained in '
                f'{parts} parts of {per_part} at most, and their gradients are accumulated. The images of an update '
                'and the learning rate stay.',
                extra=SHOWN_AT_START,
            )

        # An attribute of the object, which hides its class's method.
        vars(runner.model)['train_step'] = SplittingStep(
            partial(type(runner.model).train_step, runner.model), lambda: runner.iter < last, say
        )

    def after_train(self, runner: Runner) -> None:
        """Give the model its own step back."""
        vars(runner.model).pop('train_step', None)
