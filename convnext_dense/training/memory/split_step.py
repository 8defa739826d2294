"""Trains on a batch in parts, after it did not fit into the device's memory as a whole."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor


class SplittingStep:
    """A model's ``train_step`` that splits a batch in two when memory runs out, and accumulates the parts' gradients.

    The loader's batches, the steps of the run and the learning rate stay as they are; only the wrapper's count of
    accumulated steps grows. If the run accumulates anyway, the batches since the last update are trained again, since
    an interrupted backward pass leaves parts of gradients.

    Args:
        step: The model's ``train_step``.
        may_split: Returns whether a batch may be split now.
        on_split: Called with the number of a batch's images, and that of the parts that it is trained in from now on.

    Raises:
        torch.OutOfMemoryError: If a batch may not be split, or is a single image.
    """

    def __init__(
        self, step: Callable[..., dict], may_split: Callable[[], bool], on_split: Callable[[int, int], None]
    ) -> None:
        self.step = step
        self.may_split = may_split
        self.on_split = on_split
        self.parts = 1
        # The batches since the last update, and the wrapper's count before them.
        self._batches: list[Mapping] = []
        self._count = 0

    def __call__(self, data: Mapping, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Train on a batch.

        Args:
            data: The batch.
            optim_wrapper: The runner's.

        Returns:
            The losses.
        """
        if not self.may_split():
            self._batches = []
            return self._train(data, optim_wrapper)
        if not self._batches:
            self._count = optim_wrapper._inner_count
        self._batches.append(data)
        losses = self._try([data], optim_wrapper)
        while losses is None:
            # Not in the handler of the exception, which holds the activations.
            self._split(optim_wrapper)
            self.on_split(_size(data), self.parts)
            losses = self._try(self._batches, optim_wrapper)
        if optim_wrapper.should_update():
            self._batches = []
        return losses

    def _try(self, batches: list[Mapping], optim_wrapper: OptimWrapper) -> dict[str, Tensor] | None:
        """Return the losses of the last batch; None if memory ran out."""
        try:
            return [self._train(batch, optim_wrapper) for batch in batches][-1]
        except torch.OutOfMemoryError:
            if max(map(_size, batches)) <= self.parts:
                raise
            return None

    def _split(self, optim_wrapper: OptimWrapper) -> None:
        optim_wrapper.zero_grad()
        scaler = getattr(optim_wrapper, 'loss_scaler', None)
        if scaler is not None:
            # It may have been interrupted after it has unscaled the gradients.
            scaler._per_optimizer_states.clear()
        gc.collect()
        torch.cuda.empty_cache()
        self.parts *= 2
        self._count *= 2
        optim_wrapper._inner_count = self._count
        optim_wrapper._accumulative_counts *= 2
        if optim_wrapper._max_counts > 0:
            optim_wrapper._max_counts *= 2
            optim_wrapper._remainder_counts = optim_wrapper._max_counts % optim_wrapper._accumulative_counts

    def _train(self, batch: Mapping, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        if self.parts == 1:
            return self.step(batch, optim_wrapper=optim_wrapper)
        parts = list(split_batch(batch, self.parts))
        total: dict[str, Tensor] = {}
        for i, part in enumerate(parts):
            if i == len(parts) - 1:
                # A batch of fewer images than parts counts like any other.
                optim_wrapper._inner_count += self.parts - len(parts)
            share = _size(part) / _size(batch)
            losses = self.step(part, optim_wrapper=_Weighted(optim_wrapper, share * self.parts))
            for name, value in losses.items():
                value = value.detach() if isinstance(value, Tensor) else value
                total[name] = total.get(name, 0.0) + value * share
        return total


class _Weighted:
    """An optimizer's wrapper that multiplies losses, so that each image of uneven parts counts as much."""

    def __init__(self, optim_wrapper: OptimWrapper, weight: float) -> None:
        self._optim_wrapper, self._weight = optim_wrapper, weight

    def update_params(self, loss: Tensor, **kwargs: dict | None) -> None:
        """Train on a loss, multiplied by the weight."""
        self._optim_wrapper.update_params(loss * self._weight, **kwargs)

    def __getattr__(self, name: str) -> object:
        return getattr(self._optim_wrapper, name)


def split_batch(batch: Mapping, parts: int) -> Iterator[dict]:
    """Yield a batch's parts, as even as can be; fewer if it has fewer images.

    Args:
        batch: What a loader yields: images, data samples and the like, each a sequence or a tensor.
        parts: How many.

    Example:
        >>> [part['inputs'] for part in split_batch(dict(inputs=[1, 2, 3], data_samples=['a', 'b', 'c']), 2)]
        [[1, 2], [3]]
    """
    size = _size(batch)
    parts = min(parts, size)
    ends = [-(-size * i // parts) for i in range(parts + 1)]
    for begin, end in pairwise(ends):
        yield {name: value[begin:end] for name, value in batch.items()}


def _size(batch: Mapping) -> int:
    """Return how many images a batch has; 1 if it cannot be split."""
    if not isinstance(batch, Mapping) or not batch:
        return 1
    sizes = {len(value) if isinstance(value, Sequence) or _has_length(value) else 0 for value in batch.values()}
    return max(sizes.pop(), 1) if len(sizes) == 1 else 1


def _has_length(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0
