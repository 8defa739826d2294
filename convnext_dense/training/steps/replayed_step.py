"""A recorded step, and what came of it when it was made again."""

import math
from dataclasses import dataclass

from convnext_dense.training.steps.diagnosis import Diagnosis
from convnext_dense.training.steps.recorded_step import RecordedStep


@dataclass
class ReplayedStep:
    """A step that was made again.

    Args:
        recorded: The step as the run made it.
        losses: Its losses, now.
        has_same_gradients: Whether its gradients are the recorded ones bit for bit; None if none were recorded.
        diagnosis: Where its values that are not finite come from.
        device: What it was made on.
    """

    recorded: RecordedStep
    losses: dict[str, float]
    has_same_gradients: bool | None
    diagnosis: Diagnosis
    device: str

    @property
    def different_losses(self) -> list[str]:
        """The names of the losses that are not the recorded ones bit for bit. NaN is NaN."""
        names = dict.fromkeys([*self.losses, *self.recorded.losses])
        values = {name: (self.losses.get(name), self.recorded.losses.get(name)) for name in names}
        return [name for name, (now, then) in values.items() if not _is_same(now, then)]

    @property
    def is_same(self) -> bool:
        """Whether all is as the run had it, bit for bit."""
        return not self.different_losses and self.has_same_gradients is not False


def _is_same(now: float | None, then: float | None) -> bool:
    if now is None or then is None:
        return False
    return now == then or (math.isnan(now) and math.isnan(then))
