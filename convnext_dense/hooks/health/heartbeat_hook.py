"""Ends a run in several processes if one of them stands still."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from convnext_dense.registry import HOOKS
from convnext_dense.training.processes.heartbeat import Heartbeat, start_heartbeat


@HOOKS.register_module()
class HeartbeatHook(Hook):
    """Watches the other processes of a run. Every run in several processes has this hook.

    A process that is stopped, or whose machine is lost, ends the job after the time limit of
    ``env_cfg.dist_cfg.timeout``, with the number of the process. See `Heartbeat`.

    Args:
        limit: The time limit, in seconds.

    Example:
        >>> custom_hooks = [dict(type='convnext_dense.HeartbeatHook', limit=600)]
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.heartbeat: Heartbeat | None = None

    def before_run(self, runner: Runner) -> None:
        """Begin to watch."""
        self.heartbeat = start_heartbeat(self.limit)

    def _after_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        """Count a step of training, validation or testing."""
        if self.heartbeat:
            self.heartbeat.steps += 1

    def after_run(self, runner: Runner) -> None:
        """End the watch."""
        if self.heartbeat:
            self.heartbeat.end()
