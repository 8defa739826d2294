"""Copies the next batch to the GPU while a step runs."""

from collections.abc import Callable, Iterator, Mapping

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import DataLoader

from convnext_dense.registry import HOOKS


def map_tensors(batch: object, change: Callable[[Tensor], Tensor]) -> object:
    """Return a batch with its tensors changed; the batch itself stays.

    Args:
        batch: Nested dicts, sequences, data samples and boxes of tensors. Anything else stays as it is.
        change: What becomes of a tensor.

    Example:
        >>> map_tensors(dict(inputs=[torch.zeros(1)], name='a'), lambda tensor: tensor + 1)
        {'inputs': [tensor([1.])], 'name': 'a'}
    """
    # Here, so that importing this package loads none of mmcv's operators.
    from mmdet.structures.bbox import BaseBoxes

    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, BaseBoxes):
        return type(batch)(change(batch.tensor), clone=False)
    if isinstance(batch, BaseDataElement):
        changed = batch.new()
        for name, value in batch.items():
            changed.set_data({name: map_tensors(value, change)})
        return changed
    if isinstance(batch, Mapping):
        return {key: map_tensors(value, change) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, '_fields'):
        return type(batch)(*(map_tensors(value, change) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(map_tensors(value, change) for value in batch)
    return batch


class PrefetchingIterator:
    """Hands out batches; what was begun in time is handed out as `move` made it.

    Args:
        batches: What is handed out.
        move: Begins the move of a batch and returns what it will be.
        wait: Called before a moved batch is handed out.

    Example:
        >>> iterator = PrefetchingIterator(iter([1, 2]), move=lambda batch: batch * 10, wait=lambda: None)
        >>> first = next(iterator)
        >>> iterator.begin()
        >>> first, next(iterator)
        (1, 20)
    """

    def __init__(self, batches: Iterator, move: Callable[[object], object], wait: Callable[[], None]) -> None:
        self.batches = batches
        self.move = move
        self.wait = wait
        self._begun: list[object] = []

    @property
    def moved(self) -> list[object]:
        """What was begun and is not yet handed out: a batch, or none."""
        return list(self._begun)

    def __iter__(self) -> 'PrefetchingIterator':
        return self

    def __next__(self) -> object:
        """Return the next batch.

        Raises:
            StopIteration: After the last.
        """
        if not self._begun:
            return next(self.batches)
        self.wait()
        return self._begun.pop()

    def begin(self) -> None:
        """Begin the next batch's move, unless there is none or it has begun."""
        if self._begun:
            return
        for batch in self.batches:
            self._begun.append(self.move(batch))
            return


class PrefetchingLoader:
    """A data loader whose batches are prefetched. All else, set or read, is the loader's own.

    Args:
        loader: The loader.
        prefetch: Makes a prefetching iterator of an iterator.

    Example:
        >>> loader = PrefetchingLoader(DataLoader([1, 2, 3]), prefetch=lambda batches: batches)
        >>> len(loader), loader.batch_size, len(list(loader))
        (3, 1, 3)
    """

    def __init__(self, loader: DataLoader, prefetch: Callable[[Iterator], Iterator]) -> None:
        self.__dict__.update(loader=loader, prefetch=prefetch)

    def __iter__(self) -> Iterator:
        return self.prefetch(iter(self.loader))

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> object:
        # Hooks that change the pipeline in the middle of training reach into the loader.
        return getattr(self.__dict__['loader'], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.loader, name, value)


@HOOKS.register_module()
class PrefetchHook(Hook):
    """Copies each next training batch to the GPU on a stream of its own, once a step's work has been given to the GPU.

    The first batch, and those that a resumed run skips, go the usual way. Give the loader ``pin_memory=True``: the
    images are then in memory that a GPU copies from by itself; of data samples, which PyTorch's loader leaves as they
    are, this hook makes such copies. Without a GPU there is nothing to copy, and a line in the log says so.

    The log's ``time`` of a step holds the wait for the next batch, which is ``data_time``'s otherwise.

    Example:
        >>> train_dataloader = dict(pin_memory=True)
        >>> custom_hooks = [dict(type='convnext_dense.PrefetchHook')]
    """

    # Before RuntimeInfoHook, which waits for the GPU to tell the loss.
    priority = 'HIGHEST'

    def __init__(self) -> None:
        self._iterator: PrefetchingIterator | None = None

    def before_train(self, runner: Runner) -> None:
        """Have the loop take its batches from the prefetcher."""
        device = next(runner.model.parameters()).device
        if device.type != 'cuda':
            print_log('Prefetching does nothing here: the model is on no GPU.', logger='current')
            return
        self._install(runner.train_loop, *_on_a_stream(device))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Begin the next batch, unless this was the last step's."""
        if self._iterator is not None and runner.iter + 1 < runner.max_iters:
            self._iterator.begin()

    def after_train(self, runner: Runner) -> None:
        """Give the loop its own back."""
        loop = runner.train_loop
        if isinstance(loop.dataloader, PrefetchingLoader):
            loop.dataloader = loop.dataloader.loader
        if isinstance(getattr(loop, 'dataloader_iterator', None), PrefetchingIterator):
            loop.dataloader_iterator = loop.dataloader_iterator.batches
        self._iterator = None

    def _install(self, loop: object, move: Callable[[object], object], wait: Callable[[], None]) -> None:
        def prefetch(batches: Iterator) -> PrefetchingIterator:
            self._iterator = PrefetchingIterator(batches, move, wait)
            return self._iterator

        if hasattr(loop, 'dataloader_iterator'):
            loop.dataloader_iterator = prefetch(loop.dataloader_iterator)
        else:
            loop.dataloader = PrefetchingLoader(loop.dataloader, prefetch)


def _on_a_stream(device: torch.device) -> tuple[Callable[[object], object], Callable[[], None]]:
    stream = torch.cuda.Stream(device)

    def move(batch: object) -> object:
        reader = torch.cuda.current_stream(device)

        def copy(tensor: Tensor) -> Tensor:
            copied = _pinned(tensor).to(device, non_blocking=True)
            # Else the memory is free as soon as the batch is dropped, with kernels that read it still in the queue.
            copied.record_stream(reader)
            return copied

        with torch.cuda.stream(stream):
            return map_tensors(batch, lambda tensor: copy(tensor) if tensor.device.type == 'cpu' else tensor)

    def wait() -> None:
        torch.cuda.current_stream(device).wait_stream(stream)

    return move, wait


def _pinned(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_pinned() else tensor.pin_memory()
