"""Undoes what a step did to a model's buffers."""

import torch
from torch import Tensor, nn

from convnext_dense.training.steps.finite import NORM_STATISTICS

# Of a module's buffers, one is known by the module and its name.
Place = tuple[nn.Module, str]


class BufferCopies:
    """Copies of a model's buffers, such as a norm's statistics, to undo what a step did to them.

    Norms' statistics are copied in each step, other buffers if they have changed. Nothing waits for the device.

    Args:
        model: The model.

    Example:
        >>> norm = nn.BatchNorm1d(1)
        >>> copies = BufferCopies(norm)
        >>> copies.update()
        >>> _ = norm(torch.tensor([[torch.nan], [1.0]]))
        >>> copies.restore()
        >>> norm.running_mean
        tensor([0.])
    """

    def __init__(self, model: nn.Module) -> None:
        self._places = [(module, name) for module in model.modules() for name in module._buffers]
        self._copies: dict[Place, Tensor] = {}
        self._versions: dict[Place, tuple[int, int]] = {}

    @torch.no_grad()
    def update(self) -> None:
        """Copy the buffers."""
        copies, changed = [], []
        for place in self._places:
            buffer = self._buffer(place)
            if buffer is None or not self._may_have_changed(place, buffer):
                continue
            self._versions[place] = _version(buffer)
            copy = self._copies.get(place)
            if copy is None or _form(copy) != _form(buffer):
                self._copies[place] = buffer.detach().clone()
            else:
                copies.append(copy)
                changed.append(buffer)
        if copies:
            torch._foreach_copy_(copies, changed)

    @torch.no_grad()
    def restore(self) -> None:
        """Give the buffers the values that they had at the last `update`."""
        for place, copy in self._copies.items():
            buffer = self._buffer(place)
            if buffer is not None and self._may_have_changed(place, buffer):
                if _form(buffer) != _form(copy):
                    place[0]._buffers[place[1]] = buffer = torch.empty_like(copy)
                buffer.copy_(copy)
                self._versions[place] = _version(buffer)

    def _may_have_changed(self, place: Place, buffer: Tensor) -> bool:
        # PyTorch's batch norm changes its statistics without counting it.
        is_statistic = place[1] in NORM_STATISTICS and place[0].training
        return is_statistic or self._versions.get(place) != _version(buffer)

    @staticmethod
    def _buffer(place: Place) -> Tensor | None:
        module, name = place
        return module._buffers.get(name)


def _version(buffer: Tensor) -> tuple[int, int]:
    # The count of changes in place, and which memory it counts for.
    return buffer.data_ptr(), buffer._version


def _form(tensor: Tensor) -> tuple:
    return tensor.shape, tensor.dtype, tensor.device
