"""One lock for every folder that has one writer: take it, or say who holds it."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOOK_SECONDS = 0.1


@contextmanager
def locked(path: Path, seconds: float = 0.0, *, leaves_nothing: bool = False) -> Iterator[str | None]:
    """Take a lock; yields None when it was free, else who holds it. The system lets go of it when the process ends.

    Args:
        path: the lock's file; made if it is not there.
        seconds: how long to wait for whoever holds it.
        leaves_nothing: make the folders above it too, and remove in the end what is empty of them, and the file.

    Raises:
        OSError: nobody holds it, and its file cannot be written.
    """
    made: list[Path] | None = [] if leaves_nothing else None
    try:
        descriptor = _open(path, made)
    except OSError:  # who may only read the file is told who holds it all the same
        _remove_empty(made)
        if (holder := holder_of(path)) is None:
            raise
        yield holder
        return
    deadline = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    yield _named_in(descriptor)
                    return
                time.sleep(_LOOK_SECONDS)
            else:
                if _is_at(descriptor, path):
                    break
                gone, descriptor = descriptor, _open(path, made)  # whoever held it has removed it, or moved its folder
                os.close(gone)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        try:
            yield None
        finally:
            if leaves_nothing and _is_at(descriptor, path):
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
        _remove_empty(made)


def holder_of(path: Path) -> str | None:
    """Return who holds a lock, as a process and a host, None if nobody does; nothing is written.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named_in(descriptor)
    finally:
        os.close(descriptor)
    return None


def _open(path: Path, made: list[Path] | None) -> int:
    """Open a lock's file; with a list the folders above it are made, and added to it."""
    if made is not None:
        made += [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _remove_empty(folders: list[Path] | None) -> None:
    with suppress(OSError):
        for folder in folders or ():
            folder.rmdir()


def _named_in(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "unknown process"


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
