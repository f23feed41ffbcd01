"""Ctrl-C, SIGTERM and SIGHUP, handled as exceptions, as requests for a graceful stop, or as an immediate exit."""

import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

REPEAT_SECONDS = 2.0
"""Repeats within this time are one request: GNU timeout, batch queues and wrappers signal a process and its group."""

AGAIN = "press Ctrl-C again after two seconds or more to stop at once"
"""Hint that follows the message about a first signal."""

_STDERR = 2


class Terminated(BaseException):
    """SIGTERM was received, which batch queues and Kubernetes send before they kill a process."""


class HungUp(Terminated):
    """SIGHUP was received: the terminal or connection that the program was started from has closed."""


RAISED: dict[int, type[BaseException]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
    signal.SIGHUP: HungUp,
}
"""The exception that a signal raises when it is not deferred."""


def heard() -> tuple[int, ...]:
    """Return the signals to act on: those of :data:`RAISED`, except SIGHUP if it is ignored, as under ``nohup``."""
    return tuple(each for each in RAISED if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN)


def let_go_of_terminal() -> None:
    """Discard output to a terminal that has closed: writing to it would fail and end work that must still be saved."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    for descriptor in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)


def raise_at_once() -> None:
    """Make the signals of :func:`heard` raise their exceptions in :data:`RAISED`, wherever the program is."""
    _set(_raise)


def leave_at_once() -> None:
    """Make Ctrl-C end the process with 130, SIGTERM with 143 and SIGHUP with 129, without any cleanup."""
    _set(_leave)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Apply :func:`leave_at_once` inside the block only; for imports, which an exception may leave half done."""
    with _handlers_kept():
        leave_at_once()
        yield


@contextmanager
def keeping_handlers() -> Iterator[None]:
    """Keep the handlers of Ctrl-C and SIGTERM while Ray starts, which replaces the handler of SIGTERM.

    Ray's handler exits with the signal's number, 15, and the rest of this program would not notice.

    Raises:
        Terminated: SIGTERM arrived meanwhile.
    """
    try:
        with _handlers_kept():
            yield
    except SystemExit as ended:
        if _is_main_thread() and ended.code == signal.SIGTERM:
            raise Terminated from None
        raise


class SignalCount:
    """Distinguishes a first signal, its echo and a second signal.

    The same signal within :data:`REPEAT_SECONDS` of the first is its echo; a different or a later signal is a second
    request.

    Attributes:
        first: number of the first signal; None until there is one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = 0.0
        self.first: int | None = None

    def is_second(self, number: int) -> bool:
        """Count a signal; return whether it is a second request, after which nothing should be waited for."""
        if number == signal.SIGHUP:
            let_go_of_terminal()
        if self.first is None:
            self.first, self._since = number, self._clock()
            return False
        return number != self.first or self._clock() - self._since > REPEAT_SECONDS


class StopRequest:
    """A request to stop: a signal that arrived, or a file that somebody created for the purpose.

    A ``file`` left over from earlier is removed.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._count = SignalCount()
        self._file = file
        if file is not None:
            file.unlink(missing_ok=True)

    @property
    def signal(self) -> int | None:
        """Number of the first signal; None until there is one."""
        return self._count.first

    @property
    def asked(self) -> bool:
        """Whether to stop gracefully."""
        return self.signal is not None or (self._file is not None and self._file.exists())

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Treat Ctrl-C (SIGINT) and SIGTERM as a request for a graceful stop; a second one stops at once.

        The same signal within two seconds of the first is its echo.

        Outside the main thread, where Python allows no handlers, nothing changes.

        Raises:
            KeyboardInterrupt: the second signal was Ctrl-C.
            Terminated: the second signal was SIGTERM or SIGHUP.
        """

        def note(number: int, frame: FrameType | None) -> None:
            if self._count.is_second(number):
                raise RAISED[number]

        with _handlers_kept():
            if _is_main_thread():
                _set(note)
            yield


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """Yield a function that raises for a signal received so far; until it is called, a first signal has no effect.

    A second signal raises at once, as in :meth:`StopRequest.on_signals`. A signal that is still pending on exit raises
    there.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM or SIGHUP.
    """
    request = StopRequest()

    def check() -> None:
        if request.signal is not None:
            raise RAISED[request.signal]

    with request.on_signals():
        yield check
    check()


@contextmanager
def handing_on() -> Iterator[None]:
    """After a graceful stop by SIGTERM or SIGHUP, raise the signal again for the handler that was set before.

    That handler usually ends the program, as if the signal had never been deferred.

    Raises:
        Terminated: the handler let the program continue.
    """
    try:
        yield
    except Terminated as ended:
        signal.raise_signal(signal.SIGHUP if isinstance(ended, HungUp) else signal.SIGTERM)
        raise


@contextmanager
def told_at_once(tell: Callable[[], object]) -> Iterator[None]:
    """Call ``tell`` when the first signal arrives, whatever the main thread is doing.

    A handler runs only once the main thread returns to Python from a compiler, a training step or Ray. The wake-up
    descriptor of the interpreter is written at once, and a separate thread reads it. ``tell`` is not called for SIGHUP,
    since the terminal is gone.
    """
    if not _is_main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def listen() -> None:
        is_told = False
        while number := os.read(reading, 1):
            if not is_told and number[0] in (signal.SIGINT, signal.SIGTERM):
                is_told = True
                with suppress(OSError):
                    tell()

    thread = threading.Thread(target=listen, name="signals", daemon=True)
    thread.start()
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)
        thread.join()
        os.close(reading)


def _set(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in heard():
        signal.signal(number, handler)


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Restore the handlers on exit; outside the main thread, where Python allows none, do nothing."""
    before = {number: signal.getsignal(number) for number in heard()} if _is_main_thread() else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _raise(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGHUP:
        let_go_of_terminal()
    raise RAISED[number]


def _leave(number: int, frame: FrameType | None) -> None:
    behind_the_key = "\n" if os.isatty(_STDERR) else ""
    with suppress(OSError):  # stderr may be closed; Python's own files may be in the middle of a write
        os.write(_STDERR, f"{behind_the_key}Interrupted before anything was written.\n".encode())
    os._exit(128 + number)
