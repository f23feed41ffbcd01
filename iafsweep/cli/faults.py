"""Files that cannot be written, of a run or of a sweep, in words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iafsweep.errors import UserError


@contextmanager
def faults_in_words(folder: Path, again: str) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into one message.

    TensorBoard writes in a thread of its own; what that raises comes back here through its next call, and is no
    traceback besides.

    Args:
        folder: of the run or the sweep.
        again: the command that goes on when that is mended.

    Raises:
        UserError: a file could not be read or written.
    """
    before = threading.excepthook

    def hook(thread: threading.ExceptHookArgs) -> None:
        if not isinstance(thread.exc_value, OSError):
            before(thread)

    threading.excepthook = hook
    try:
        yield
    except BrokenPipeError:  # who read our output has gone; the command line ends quietly
        raise
    except OSError as error:
        raise UserError(
            f"cannot go on with {folder}: {error}; what was saved before is whole: mend this, then go on:\n  {again}"
        ) from error
    finally:
        threading.excepthook = before
