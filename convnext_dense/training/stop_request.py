"""A signal that asks a training to stop: taken note of at once, answered after the step."""

import os
import signal
import time
from types import FrameType

from convnext_dense.errors import RunStopped

# Launchers pass on a signal that their processes have got already, so what comes this soon is the same request.
SECONDS_OF_ONE_REQUEST = 1.0


class StopRequest:
    """Whether this process was asked to stop, and by which signal.

    Example:
        >>> request = StopRequest()
        >>> request.begin()
        >>> request.note(signal.SIGTERM)
        >>> request.signal_name
        'SIGTERM'
    """

    def __init__(self) -> None:
        self.signal_name = ''
        self._noted_at = 0.0
        self._is_training = False
        self._is_answered = False

    def begin(self) -> None:
        """Note that there are steps now, after which a request is answered."""
        self._is_training = True

    def answer(self) -> None:
        """Pass over all further signals: what was trained is saved, and the process is about to end."""
        self._is_answered = True

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Take note of a signal, as its handler. A second one ends the process at once.

        Args:
            number: The signal.
            frame: What runs; not used.

        Raises:
            RunStopped: If there is no step to wait for.
        """
        if self._is_answered:
            return
        if not self.signal_name:
            self.signal_name, self._noted_at = signal.Signals(number).name, time.monotonic()
            if not self._is_training:
                raise RunStopped(f'{self.signal_name} before the first step; nothing is lost.')
        elif time.monotonic() - self._noted_at > SECONDS_OF_ONE_REQUEST:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


# That of this process's training.
REQUEST = StopRequest()
