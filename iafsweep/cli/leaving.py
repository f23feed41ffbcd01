"""Signals while there is nothing to save: the process ends at once, with a line and the signal's exit code."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STDERR = 2


def leave_at_once() -> None:
    """From now on Ctrl-C ends the process with 130 and SIGTERM with 143; that is said, and nothing is cleaned up."""
    for number in _SIGNALS:
        signal.signal(number, _leave)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """As :func:`leave_at_once`, inside the block alone: for imports, which a raised exception may leave half done."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    leave_at_once()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    behind_the_key = "\n" if os.isatty(_STDERR) else ""
    with suppress(OSError):  # nobody may be there to read; Python's own files could be in the middle of a write
        os.write(_STDERR, f"{behind_the_key}Interrupted before anything was made.\n".encode())
    os._exit(128 + number)
