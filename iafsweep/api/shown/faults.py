"""Faults of disks and folders while something runs, as one message."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from iafsweep.errors import UserError


@contextmanager
def faults_in_words(folder: Path, going_on: Callable[[], str]) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into one message.

    TensorBoard writes in a thread of its own; what that raises comes back here through its next call, and is no
    traceback besides.

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
            f"cannot go on with {folder}: {error}; what was saved before is whole: mend this, then go on:\n"
            f"  {going_on()}"
        ) from error
    finally:
        threading.excepthook = before
