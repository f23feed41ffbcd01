"""Ctrl-C and SIGTERM as exceptions, and which of several signals is somebody's second wish."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

REPEAT_SECONDS = 2.0
"""GNU timeout, batch queues and wrappers send the same signal to a process and to its group: that is one wish."""


class Terminated(BaseException):
    """SIGTERM was received: batch queues and Kubernetes send it before they kill."""


RAISED: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
"""What a signal raises where it is not put off."""


class SignalCount:
    """Tells a first signal, its echo and a second one apart.

    A signal of the same number within :data:`REPEAT_SECONDS` of the first is its echo; one of another number, or a
    later one, is meant.

    Args:
        clock: seconds from a clock that only goes forward.

    Attributes:
        first: number of the first signal; None while there was none.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = 0.0
        self.first: int | None = None

    def is_second(self, number: int) -> bool:
        """Count a signal; return whether it is a second wish to end, so that nothing should be waited for."""
        if self.first is None:
            self.first, self._since = number, self._clock()
            return False
        return number != self.first or self._clock() - self._since > REPEAT_SECONDS
