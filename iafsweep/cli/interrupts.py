"""Ctrl-C and SIGTERM where there is work to save: noted, and acted on between two steps."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from iafsweep.interrupts import RAISED, SignalCount


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """Give a function that raises the first signal since; until it is called, a signal changes nothing.

    A second signal raises at once, wherever the program is; the same one within two seconds is the first one's echo. A
    signal that nobody asked for raises on leaving.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM.
    """
    count = SignalCount()

    def note(number: int, frame: FrameType | None) -> None:
        if count.is_second(number):
            raise RAISED[number]

    def check() -> None:
        if count.first is not None:
            raise RAISED[count.first]

    before = {number: signal.signal(number, note) for number in RAISED}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    check()
