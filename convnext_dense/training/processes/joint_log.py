"""Logs what all processes measured, and not the first one's part of the batch alone."""

from typing import Any

from mmengine.dist import all_gather_object
from mmengine.runner import LogProcessor, Runner

from convnext_dense.registry import LOG_PROCESSORS


@LOG_PROCESSORS.register_module()
class JointLogProcessor(LogProcessor):
    """mmengine's log processor, whose training losses are the mean over all processes.

    Processes exchange what they measured where a line of the log is written, and not in each step.

    Example:
        >>> log_processor = dict(type='convnext_dense.JointLogProcessor', by_epoch=False)
    """

    def _collect_scalars(
        self, custom_cfg: list[dict], runner: Runner, mode: str, reserve_prefix: bool = False
    ) -> dict[str, Any]:
        own = super()._collect_scalars(custom_cfg, runner, mode, reserve_prefix)
        if mode != 'train':
            # Metrics are joint already, and processes may have different numbers of batches to test.
            return own
        processes = all_gather_object(own)
        return {name: _mean([process.get(name, value) for process in processes]) for name, value in own.items()}


def _mean(values: list[Any]) -> Any:  # noqa: ANN401 - what a message hub holds
    """Return the mean of numbers; what is equal everywhere, such as a learning rate, stays to the last bit."""
    if all(value == values[0] for value in values):
        return values[0]
    return sum(values) / len(values)
