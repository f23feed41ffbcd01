"""Ctrl-C and SIGTERM where there is work to save: noted, and acted on between two steps."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from iafsweep.cli.exits import Terminated

_RAISED = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """Give a function that raises the first signal since; until it is called, a signal changes nothing.

    A second signal raises at once, wherever the program is. A signal that nobody asked for raises on leaving.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM.
    """
    noted: list[signal.Signals] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(signal.Signals(number))
        if len(noted) > 1:
            raise _RAISED[noted[-1]]

    def check() -> None:
        if noted:
            raise _RAISED[noted[0]]

    before = {number: signal.signal(number, note) for number in _RAISED}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    check()
