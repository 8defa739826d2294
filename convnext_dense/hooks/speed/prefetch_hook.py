"""Prefetches training batches."""

from collections.abc import Callable, Iterator

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, Runner

from convnext_dense.registry import HOOKS
from convnext_dense.training.loading.prefetch import PrefetchingIterator, PrefetchingLoader, copy_on_stream


@HOOKS.register_module()
class PrefetchHook(Hook):
    """Copies the next training batch to the GPU on a separate stream while the GPU works on the current step.

    The first batch is copied as usual. Set ``pin_memory=True`` in the loader, so
    that the GPU copies the images without the CPU. PyTorch's loader does not pin data samples; this hook does. Without
    a GPU the hook does nothing, and logs that.

    The wait for the next batch is part of ``time`` in the log, no longer of ``data_time``.

    Example:
        >>> train_dataloader = dict(pin_memory=True)
        >>> custom_hooks = [dict(type='convnext_dense.PrefetchHook')]
    """

    # Before RuntimeInfoHook, which waits for the GPU to read the loss.
    priority = 'HIGHEST'

    def __init__(self) -> None:
        self._iterator: PrefetchingIterator | None = None

    def before_train(self, runner: Runner) -> None:
        """Make the loop take its batches from the prefetcher."""
        device = next(runner.model.parameters()).device
        if device.type != 'cuda':
            print_log('PrefetchHook does nothing: the model is not on a GPU.', logger='current')
            return
        assert runner.train_loop
        self._install(runner.train_loop, *copy_on_stream(device))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Begin to copy the next batch, unless this was the last step."""
        if self._iterator is not None and runner.iter + 1 < runner.max_iters:
            self._iterator.begin()

    def after_train(self, runner: Runner) -> None:
        """Restore the loop's own loader and iterator."""
        loop = runner.train_loop
        if isinstance(loop.dataloader, PrefetchingLoader):
            loop.dataloader = loop.dataloader.loader
        if isinstance(getattr(loop, 'dataloader_iterator', None), PrefetchingIterator):
            loop.dataloader_iterator = loop.dataloader_iterator.batches
        self._iterator = None

    def _install(self, loop: BaseLoop, move: Callable[[object], object], wait: Callable[[], None]) -> None:
        def prefetch(batches: Iterator) -> PrefetchingIterator:
            self._iterator = PrefetchingIterator(batches, move, wait)
            return self._iterator

        # IterBasedTrainLoop holds one iterator for the whole run; EpochBasedTrainLoop makes one each epoch.
        if hasattr(loop, 'dataloader_iterator'):
            loop.dataloader_iterator = prefetch(loop.dataloader_iterator)
        else:
            loop.dataloader = PrefetchingLoader(loop.dataloader, prefetch)
