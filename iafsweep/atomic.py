"""Atomic writes: a file holds the old content or the new, never a part; pipes and devices are written through."""

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DESCRIPTOR = re.compile(r"/(?:dev|proc/(?:self|\d+))/fd/(\d+)")
_LINKS = 40
"""Most symbolic links followed, as in Linux."""
_NAME_BYTES = 200
"""Bytes of a file's name kept in the name of its temporary file; a name may have 255."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` to write to; on exit, flush it to disk and rename it over ``path``.

    This is for files in run and sweep folders. A link is replaced, not followed, since a folder made by somebody else
    may hold links to anywhere. Paths that the user names go through :func:`writing`.

    If the body raises, the temporary file is removed and ``path`` stays as it was. A process killed inside leaves at
    most the temporary file behind, whose name begins with a dot and contains the process id.
    """
    short = os.fsencode(path.name)[:_NAME_BYTES].decode(errors="ignore")
    temporary = path.with_name(f".{short}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; on exit, transfer its content to ``path``, whatever that is.

    A file, or the target of a link, is replaced as by :func:`replacing`. A pipe, a device such as ``/dev/null`` or an
    open descriptor such as ``/dev/stdout`` receives the content; ``-`` is standard output.

    Raises:
        OSError: ``path`` is a folder, a socket or a disk, or cannot be opened or written.
    """
    descriptor = _descriptor(path)
    if descriptor is None and (kind := _kind(path)) is None:
        with replacing(Path(os.path.realpath(path))) as temporary:
            yield temporary
        return
    if descriptor is None and kind not in (stat.S_IFIFO, stat.S_IFCHR):
        number = errno.EISDIR if kind == stat.S_IFDIR else errno.EINVAL
        raise OSError(number, os.strerror(number), str(path))
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        yield whole
        opened = os.open(path, os.O_WRONLY) if descriptor is None else os.dup(descriptor)
        with whole.open("rb") as source, os.fdopen(opened, "wb") as target:
            shutil.copyfileobj(source, target)


def is_standard_output(path: Path | None) -> bool:
    """Return whether :func:`writing` would write to standard output: ``-``, ``/dev/stdout`` or another name of it."""
    return path is not None and _descriptor(path) == 1


def _descriptor(path: Path) -> int | None:
    """Return the open descriptor of this process that a path names, or None."""
    if str(path) == "-":
        return 1
    name = os.path.abspath(path)
    for _ in range(_LINKS):
        match = _DESCRIPTOR.fullmatch(name)
        if match is not None and os.path.realpath(os.path.dirname(name)) == f"/proc/{os.getpid()}/fd":
            return int(match[1])
        try:
            leads_to = os.readlink(name)
        except OSError:  # not a link, or not one of this process's descriptors
            return None
        name = os.path.normpath(os.path.join(os.path.realpath(os.path.dirname(name)), leads_to))
    return None


def _kind(path: Path) -> int | None:
    """Return the file type of a path, following links; None for a regular file or if nothing exists there."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return None
    return None if kind == stat.S_IFREG else kind


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8; surrogates (undecodable bytes of file names) become ``?``."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
