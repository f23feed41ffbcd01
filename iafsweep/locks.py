"""TODO iafsweep.locks."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOKS, _LOOK_SECONDS = 4, 0.1
"""Who only looks whether a driver runs holds the lock for an instant; a driver looks again before it gives up."""


@contextmanager
def _locked(path: Path, looks: int = 1) -> Iterator[str | None]:
    """Take a lock; yields None when it was free, else who holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        for look in range(looks):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if look + 1 == looks:
                    yield _holder(descriptor)
                    return
                time.sleep(_LOOK_SECONDS)
            else:
                break
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield None
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "unknown process"
