"""Files that are either the old or the new, never half of one; and what stands in a file's place, written through."""

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
"""As many as Linux follows."""
_NAME_BYTES = 200
"""Of a file's name in that of its temporary one: names may have 255."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; on leaving, flush it to disk and rename it over ``path``.

    For files of our own folders: a link is replaced, not followed, since folders that others made may hold links that
    lead anywhere. What a person names goes through :func:`writing`.

    If the body raises, the temporary file is removed and ``path`` is as it was. A process killed inside leaves at most
    the temporary file behind, whose name begins with a dot and names the process.
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
    """Give a temporary path to write to; on leaving, what was written goes to ``path``, whatever that is.

    A file, or one that a link leads to, is replaced as by :func:`replacing`. A pipe, a device such as ``/dev/null`` or
    an open descriptor such as ``/dev/stdout`` is written through; ``-`` is standard output.

    Raises:
        OSError: it is a folder, a socket or a disk; or as opening and writing it says.
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
    """Return the open descriptor of this process that a path is a name of, if it is one."""
    if str(path) == "-":
        return 1
    name = os.path.abspath(path)
    for _ in range(_LINKS):
        match = _DESCRIPTOR.fullmatch(name)
        if match is not None and os.path.realpath(os.path.dirname(name)) == f"/proc/{os.getpid()}/fd":
            return int(match[1])
        try:
            leads_to = os.readlink(name)
        except OSError:  # no link, or nothing of ours
            return None
        name = os.path.normpath(os.path.join(os.path.realpath(os.path.dirname(name)), leads_to))
    return None


def _kind(path: Path) -> int | None:
    """Return the type that a path has, links followed; None if it is a file or nothing is there yet."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return None
    return None if kind == stat.S_IFREG else kind


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8; what is no character (bytes of file names) becomes ``?``."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
