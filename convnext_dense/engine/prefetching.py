"""Copies the next batch to the GPU while a step runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import DataLoader

from convnext_dense.registry import HOOKS


def to_device(batch: object, device: torch.device) -> object:
    """Return a batch as mmengine's data preprocessors move it, without waiting for the copies.

    Args:
        batch: Nested dicts and sequences of tensors, data samples, and anything else, which stays.
        device: Where the tensors go.

    Example:
        >>> to_device(dict(inputs=[torch.zeros(1)], name='a'), torch.device('meta'))
        {'inputs': [tensor(..., device='meta', size=(1,))], 'name': 'a'}
    """
    if isinstance(batch, Tensor | BaseDataElement):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, '_fields'):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, Sequence) and not isinstance(batch, str | bytes):
        return type(batch)(to_device(value, device) for value in batch)
    return batch


class PrefetchingIterator:
    """Hands out what `move` makes of each batch; the next one is begun before the last is handed out.

    Args:
        batches: What is handed out.
        move: Begins the move of a batch and returns what it will be.
        wait: Called before a moved batch is handed out.

    Example:
        >>> list(PrefetchingIterator(iter([1, 2, 3]), move=lambda batch: batch * 10, wait=lambda: None))
        [10, 20, 30]
    """

    def __init__(self, batches: Iterator, move: Callable[[object], object], wait: Callable[[], None]) -> None:
        self.batches = batches
        self.move = move
        self.wait = wait
        self._started = False
        self._moved: list[object] = []

    @property
    def moved(self) -> list[object]:
        """The batches that lie ready: the next one, or none after the last."""
        return list(self._moved)

    def __iter__(self) -> 'PrefetchingIterator':
        return self

    def __next__(self) -> object:
        """Return the next batch.

        Raises:
            StopIteration: After the last.
        """
        if not self._started:
            self._started = True
            self._fetch()
        if not self._moved:
            raise StopIteration
        self.wait()
        batch = self._moved.pop()
        self._fetch()
        return batch

    def _fetch(self) -> None:
        for batch in self.batches:
            self._moved.append(self.move(batch))
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
    """Copies each next training batch to the GPU on a stream of its own, while the step before it runs.

    Give the loader ``pin_memory=True``: other memory is copied while the host waits. Without a GPU there is nothing
    to copy, and a line in the log says so.

    Example:
        >>> train_dataloader = dict(pin_memory=True)
        >>> custom_hooks = [dict(type='convnext_dense.PrefetchHook')]
    """

    def before_train(self, runner: Runner) -> None:
        """Have the loop take its batches from the prefetcher."""
        device = next(runner.model.parameters()).device
        if device.type != 'cuda':
            print_log('Prefetching does nothing here: the model is on no GPU.', logger='current')
            return
        self._install(runner.train_loop, _on_a_stream(device))

    def after_train(self, runner: Runner) -> None:
        """Give the loop its own back."""
        loop = runner.train_loop
        if isinstance(loop.dataloader, PrefetchingLoader):
            loop.dataloader = loop.dataloader.loader

    def _install(self, loop: object, prefetch: Callable[[Iterator], Iterator]) -> None:
        loop.dataloader = PrefetchingLoader(loop.dataloader, prefetch)
        if hasattr(loop, 'dataloader_iterator'):
            loop.dataloader_iterator = prefetch(loop.dataloader_iterator)


def _on_a_stream(device: torch.device) -> Callable[[Iterator], Iterator]:
    stream = torch.cuda.Stream(device)

    def move(batch: object) -> object:
        # The stream's memory goes back to it as soon as a batch is dropped, with kernels that read it perhaps still
        # in the queue. Waiting for all that was launched so far takes the place of `record_stream` for every tensor,
        # those included that lie hidden in structures of other packages.
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            return to_device(batch, device)

    def wait() -> None:
        torch.cuda.current_stream(device).wait_stream(stream)

    return lambda batches: PrefetchingIterator(batches, move, wait)
