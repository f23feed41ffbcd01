"""Ctrl-C, SIGTERM and the file of ``stop`` as a wish to end in good order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from iafsweep.interrupts import RAISED, SignalCount, Terminated


@contextmanager
def keeping_handlers() -> Iterator[None]:
    """Keep the handlers of Ctrl-C and SIGTERM through Ray's start, which puts its own in the place of SIGTERM's.

    Ray's exits with the signal's number, 15, and nothing else of this program hears of it.

    Raises:
        Terminated: SIGTERM came meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in RAISED}
    try:
        yield
    except SystemExit as ended:
        if ended.code == signal.SIGTERM:
            raise Terminated from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopRequest:
    """Whether the work should end: a signal came, or somebody put a file down that asks for it.

    Args:
        file: the file; one left from an earlier time is removed.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._count = SignalCount()
        self._file = file
        if file is not None:
            file.unlink(missing_ok=True)

    @property
    def signal(self) -> int | None:
        """Number of the first signal; None while there was none."""
        return self._count.first

    @property
    def asked(self) -> bool:
        """Whether to end in good order."""
        return self.signal is not None or (self._file is not None and self._file.exists())

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take Ctrl-C (SIGINT) and SIGTERM as a wish to end in good order; a second one ends at once.

        The same signal once more within two seconds is the first one's echo.

        Outside the main thread, where Python allows no handlers, nothing is changed.

        Raises:
            KeyboardInterrupt: a second signal, Ctrl-C.
            Terminated: a second signal, SIGTERM.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in RAISED}

        def note(number: int, frame: FrameType | None) -> None:
            if self._count.is_second(number):
                raise RAISED[number]

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
