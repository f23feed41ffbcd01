"""Ctrl-C, SIGTERM and SIGHUP: as exceptions, as a wish to end in good order, or as an end at once."""

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
"""GNU timeout, batch queues and wrappers send the same signal to a process and to its group: that is one wish."""

AGAIN = "Ctrl-C again, two seconds later or more, ends at once"
"""What stands behind what a program does on a first signal."""

_STDERR = 2


class Terminated(BaseException):
    """SIGTERM was received: batch queues and Kubernetes send it before they kill."""


class HungUp(Terminated):
    """SIGHUP was received: the terminal or the connection that the program was started from has gone."""


RAISED: dict[int, type[BaseException]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
    signal.SIGHUP: HungUp,
}
"""What a signal raises where it is not put off."""


def heard() -> tuple[int, ...]:
    """Return the signals to act on: those of :data:`RAISED`, but not SIGHUP where it is ignored, as under ``nohup``."""
    return tuple(each for each in RAISED if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN)


def let_go_of_terminal() -> None:
    """Send output nowhere if the terminal it went to has gone: writing there would end the work that is to be saved."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    for descriptor in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)


def raise_at_once() -> None:
    """From now on the signals of :func:`heard` raise what stands in :data:`RAISED`, wherever the program is."""
    _set(_raise)


def leave_at_once() -> None:
    """From now on Ctrl-C ends the process with 130, SIGTERM with 143, SIGHUP with 129; nothing is cleaned up."""
    _set(_leave)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """As :func:`leave_at_once`, inside the block alone: for imports, which a raised exception may leave half done."""
    with _handlers_kept():
        leave_at_once()
        yield


@contextmanager
def keeping_handlers() -> Iterator[None]:
    """Keep the handlers of Ctrl-C and SIGTERM through Ray's start, which puts its own in the place of SIGTERM's.

    Ray's exits with the signal's number, 15, and nothing else of this program hears of it.

    Raises:
        Terminated: SIGTERM came meanwhile.
    """
    try:
        with _handlers_kept():
            yield
    except SystemExit as ended:
        if _is_main_thread() and ended.code == signal.SIGTERM:
            raise Terminated from None
        raise


class SignalCount:
    """Tells a first signal, its echo and a second one apart.

    A signal of the same number within :data:`REPEAT_SECONDS` of the first is its echo; one of another number, or a
    later one, is meant.

    Attributes:
        first: number of the first signal; None while there was none.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = 0.0
        self.first: int | None = None

    def is_second(self, number: int) -> bool:
        """Count a signal; return whether it is a second wish to end, so that nothing should be waited for."""
        if number == signal.SIGHUP:
            let_go_of_terminal()
        if self.first is None:
            self.first, self._since = number, self._clock()
            return False
        return number != self.first or self._clock() - self._since > REPEAT_SECONDS


class StopRequest:
    """Whether the work should end: a signal came, or somebody put a file down that asks for it.

    A ``file`` left from an earlier time is removed.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._count = SignalCount()
        self._file = file
        if file is not None:
            file.unlink(missing_ok=True)

    @property
    def signal(self) -> int | None:
        """Number of the first signal; None while there was none."""
        return self._count.first

    @property
    def asked(self) -> bool:
        """Whether to end in good order."""
        return self.signal is not None or (self._file is not None and self._file.exists())

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take Ctrl-C (SIGINT) and SIGTERM as a wish to end in good order; a second one ends at once.

        The same signal once more within two seconds is the first one's echo.

        Outside the main thread, where Python allows no handlers, nothing is changed.

        Raises:
            KeyboardInterrupt: a second signal, Ctrl-C.
            Terminated: a second signal, SIGTERM or SIGHUP.
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
    """Give a function that raises the first signal since; until it is called, a signal changes nothing.

    A second signal raises at once, as in :meth:`StopRequest.on_signals`. A signal that nobody asked for raises on
    leaving.

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
    """Hand SIGTERM and SIGHUP, which have ended the work in good order, on to whoever acted on them before.

    Mostly that ends the program, as if it had never been asked to wait.

    Raises:
        Terminated: whoever it was went on.
    """
    try:
        yield
    except Terminated as ended:
        signal.raise_signal(signal.SIGHUP if isinstance(ended, HungUp) else signal.SIGTERM)
        raise


@contextmanager
def told_at_once(tell: Callable[[], object]) -> Iterator[None]:
    """Call ``tell`` when the first signal comes, whatever the main thread is doing.

    A handler waits until the main thread comes back to Python: from a compiler, a step, Ray. The interpreter's wake-up
    descriptor does not, and a thread of its own reads it. SIGHUP is told to nobody: there is no terminal any more.
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
    """Put the handlers back in the end; outside the main thread, where Python allows none, do nothing."""
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
    with suppress(OSError):  # nobody may be there to read; Python's own files could be in the middle of a write
        os.write(_STDERR, f"{behind_the_key}Interrupted before anything was made.\n".encode())
    os._exit(128 + number)
