"""Ctrl-C, SIGTERM and the file of ``stop`` as a wish to end in good order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class StopRequest:
    """Whether the work should end: a signal came, or somebody put a file down that asks for it.

    Args:
        file: the file; one left from an earlier time is removed.

    Attributes:
        signal: number of the signal; None while there was none.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.signal: int | None = None
        self._file = file
        if file is not None:
            file.unlink(missing_ok=True)

    @property
    def asked(self) -> bool:
        """Whether to end in good order."""
        return self.signal is not None or (self._file is not None and self._file.exists())

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take Ctrl-C (SIGINT) and SIGTERM as a wish to end in good order; a second one ends at once.

        Outside the main thread, where Python allows no handlers, nothing is changed.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def note(number: int, frame: FrameType | None) -> None:
            if self.signal is not None:
                raise KeyboardInterrupt
            self.signal = number

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
