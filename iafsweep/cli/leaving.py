"""Signals while there is nothing to save: the process ends at once, with the signal's exit code."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def leave_at_once() -> None:
    """From now on Ctrl-C ends the process with 130 and SIGTERM with 143; nothing is cleaned up, nothing printed."""
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
    os._exit(128 + number)
