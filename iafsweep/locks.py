"""File locks for folders that allow one writer; a lock that is taken names its holder."""

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
    """Take a lock; yield None if it was free, else its holder. The system releases it when the process ends.

    Args:
        path: the lock file; created if missing.
        seconds: how long to wait for the present holder.
        leaves_nothing: create missing parent folders too; on exit, remove the file and those folders that are empty.

    Raises:
        OSError: the lock is free, but its file cannot be written.
    """
    made: list[Path] | None = [] if leaves_nothing else None
    try:
        descriptor = _open(path, made)
    except OSError:  # a reader without write access still learns who holds it
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
                gone, descriptor = descriptor, _open(path, made)  # its holder removed the file or moved its folder
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
    """Return the process and host that hold a lock, or None if it is free; write nothing.

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
    """Open a lock file; if ``made`` is a list, create missing parent folders and append them to it."""
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
    """Return whether ``path`` still refers to the file that ``descriptor`` has open."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
