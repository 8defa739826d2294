"""Moves the next batch to the GPU while a step runs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import DataLoader


def map_tensors(batch: object, change: Callable[[Tensor], Tensor]) -> object:
    """Return a copy of a batch in which every tensor is changed.

    Args:
        batch: Nested dicts, sequences, data samples and boxes of tensors. Other values are kept as they are.
        change: Called with each tensor; returns what replaces it.

    Example:
        >>> map_tensors(dict(inputs=[torch.zeros(1)], name='a'), lambda tensor: tensor + 1)
        {'inputs': [tensor([1.])], 'name': 'a'}
    """
    # Imported here because mmdet loads all of mmcv's operators.
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
        return type(batch)._make(map_tensors(value, change) for value in batch)
    if isinstance(batch, list | tuple):
        return type(batch)(map_tensors(value, change) for value in batch)
    return batch


class PrefetchingIterator:
    """Yields batches, and can begin to move the next one before it is asked for.

    Args:
        batches: Where the batches come from.
        move: Begins to move a batch, and returns the moved one.
        wait: Called before a moved batch is yielded.

    Example:
        >>> iterator = PrefetchingIterator(iter([1, 2]), move=lambda batch: batch * 10, wait=lambda: None)
        >>> first = next(iterator)
        >>> iterator.begin()
        >>> first, next(iterator)
        (1, 20)
    """

    def __init__(self, batches: Iterator, move: Callable[[object], object], wait: Callable[[], None]) -> None:
        self.batches: Any = batches
        self.move = move
        self.wait = wait
        self._begun: list[object] = []

    @property
    def moved(self) -> list[object]:
        """The batch that is moved and not yet yielded, or none."""
        return list(self._begun)

    def __iter__(self) -> 'PrefetchingIterator':
        return self

    def __next__(self) -> object:
        """Return the next batch.

        Raises:
            StopIteration: After the last batch.
        """
        if not self._begun:
            return next(self.batches)
        self.wait()
        return self._begun.pop()

    def skip_iter(self, num_iters: int) -> None:
        """Skip batches without loading them, as the loop of OneDL's mmengine does when it resumes."""
        self.batches.skip_iter(num_iters)

    def begin(self) -> None:
        """Begin to move the next batch, unless one is moved already or none is left."""
        if self._begun:
            return
        for batch in self.batches:
            self._begun.append(self.move(batch))
            return


class PrefetchingLoader:
    """A data loader whose batches are prefetched. Every other attribute is the wrapped loader's own, read or set.

    Args:
        loader: The loader to wrap.
        prefetch: Makes a prefetching iterator from the loader's iterator.

    Example:
        >>> loader = PrefetchingLoader(DataLoader([1, 2, 3]), prefetch=lambda batches: batches)
        >>> len(loader), loader.batch_size, len(list(loader))
        (3, 1, 3)
    """

    loader: DataLoader
    prefetch: Callable[[Iterator], Iterator]

    def __init__(self, loader: DataLoader, prefetch: Callable[[Iterator], Iterator]) -> None:
        self.__dict__.update(loader=loader, prefetch=prefetch)

    def __iter__(self) -> Iterator:
        return self.prefetch(iter(self.loader))

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> object:
        # Hooks that change the pipeline during training, such as mmdet's PipelineSwitchHook, reach into the loader.
        return getattr(self.__dict__['loader'], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.loader, name, value)


def copy_on_stream(device: torch.device) -> tuple[Callable[[object], object], Callable[[], None]]:
    """Return the `move` and the `wait` of a `PrefetchingIterator` that copies batches to a GPU on its own stream.

    Args:
        device: The GPU.

    Example:
        >>> move, wait = copy_on_stream(torch.device('cuda', 0))  # doctest: +SKIP
    """
    stream = torch.cuda.Stream(device)

    def move(batch: object) -> object:
        reader = torch.cuda.current_stream(device)

        def copy(tensor: Tensor) -> Tensor:
            if tensor.device.type != 'cpu':
                return tensor
            copied = _pin(tensor).to(device, non_blocking=True)
            # Without this, the memory is freed as soon as the batch is dropped, while queued kernels still read it.
            copied.record_stream(reader)
            return copied

        with torch.cuda.stream(stream):
            return map_tensors(batch, copy)

    def wait() -> None:
        torch.cuda.current_stream(device).wait_stream(stream)

    return move, wait


def _pin(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_pinned() else tensor.pin_memory()
