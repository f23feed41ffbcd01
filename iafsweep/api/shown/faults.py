"""Report faults of disks and folders during a run or a sweep as one message."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from iafsweep.errors import UserError


@contextmanager
def faults_in_words(folder: Path, going_on: Callable[[], str]) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into one message.

    TensorBoard writes in its own thread. An error there is raised again by the next call to it, so the traceback of the
    thread is not printed.

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
    except BrokenPipeError:  # the reader of our output has gone; the command line ends quietly
        raise
    except OSError as error:
        raise UserError(
            f"cannot continue with {folder}: {error}; everything saved before is intact; fix the cause, then "
            f"continue:\n  {going_on()}"
        ) from error
    finally:
        threading.excepthook = before
