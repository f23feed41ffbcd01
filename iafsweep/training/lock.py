"""One process at a time writes a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from iafsweep.errors import RunFolderError
from iafsweep.run_files.run_folder import RunFolder


@contextmanager
def held(folder: RunFolder) -> Iterator[None]:
    """Hold a run folder as its one writer; the system lets go of it when the process ends, however it ends.

    The folder is made if it is not there, and removed again if nothing has been put into it.

    Raises:
        RunFolderError: another process holds it, or it cannot be written.
    """
    made: list[Path] = []
    try:
        made = [path for path in (folder.path, *folder.path.parents) if not path.exists()]
        folder.refuse_file()
        folder.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.lock)
        lock.acquire(blocking=False)
    except Timeout:
        raise RunFolderError(
            f"{folder.path} is in use by another process that trains or scores it; wait until it ends, or name another "
            f"folder with --run"
        ) from None
    except OSError as error:
        _remove_empty(made)
        raise RunFolderError(f"cannot write the run folder {folder.path}: {error}; name another with --run") from error
    try:
        yield
    finally:
        with suppress(OSError):
            folder.lock.unlink()  # before it is let go of: whoever opened it meanwhile sees that it has no name
        lock.release()
        _remove_empty(made)


def _remove_empty(folders: Sequence[Path]) -> None:
    with suppress(OSError):
        for path in folders:
            path.rmdir()
