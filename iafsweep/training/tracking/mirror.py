"""Keeps a tracker up to date from run folders, in a separate thread that training never waits for.

The run folders are the source of truth; a tracker mirrors them. Training only signals that a run has news. The thread
reads ``metrics.jsonl``, ``evaluation.json`` and the pictures, and sends what the tracker does not have yet. Nothing is
therefore lost when a process is killed (the next one sends the rest), and nothing piles up when the tracker is slow.
Errors of the tracker are handled here, in one place; they are reported once and affect nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from iafsweep.errors import RunFolderError
from iafsweep.records import EpochMetrics, Evaluation, shown_figures
from iafsweep.run_files import metrics_file
from iafsweep.training.tracking.base import RunToTrack, TrackedRun, Tracker

HANG_SECONDS = 60.0
"""Duration of a single call after which the tracker is reported as not answering."""
CLOSE_SECONDS = 30.0
"""How long a command waits for the tracker at its end."""


class Mirror:
    """Keeps a tracker up to date.

    Args:
        name: name of the tracker, for messages.
        make: creates the tracker; called in the thread, because importing its package takes seconds.
        hang_seconds: duration of a call after which it is reported.
        close_seconds: how long :meth:`close` waits.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Tracker],
        hang_seconds: float = HANG_SECONDS,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self.name = name
        self._make = make
        self._hang_seconds = hang_seconds
        self._close_seconds = close_seconds
        self._changed = threading.Condition()
        self._news: dict[str, tuple[RunToTrack, str]] = {}  # with how each ended; empty while it runs
        self._busy_since: float | None = None
        self._closing = False
        self._error: Exception | None = None
        self._has_said = False
        # A daemon, so that a hanging tracker does not keep the process alive.
        self._thread = threading.Thread(target=self._work, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def news(self, run: RunToTrack, status: str = "") -> None:
        """Signal that a run has news: an epoch, figures, or its end. Returns immediately.

        Args:
            run: the run.
            status: how it ended; empty while it runs.
        """
        with self._changed:
            if self._error is None and not self._closing:
                _, before = self._news.get(run.key, (run, ""))
                self._news[run.key] = run, status or before
                self._changed.notify_all()

    def trouble(self) -> str:
        """Return a sentence about the first problem with the tracker, only once; else an empty string."""
        with self._changed:
            error, busy = self._error, self._busy_since
        hangs = busy is not None and time.monotonic() - busy > self._hang_seconds
        if self._has_said or (error is None and not hangs):
            return ""
        self._has_said = True
        if error is None:
            return (
                f"--tracker {self.name} has not answered for {self._hang_seconds:.0f} seconds; "
                f"the run continues without waiting for it"
            )
        first = (str(error).strip().splitlines() or [""])[0][:1000]
        return (
            f"--tracker {self.name} failed ({type(error).__name__}: {first}); the run continues without it, "
            f"and resuming with --tracker {self.name} sends what is missing"
        )

    def close(self, say: Callable[[str], object]) -> str:
        """Send what is left, for a limited time; return any problem not reported before.

        Args:
            say: called with a message if this waits for more than a moment.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        moment = min(1.0, self._close_seconds / 2)
        self._thread.join(moment)
        if self._thread.is_alive():
            say(f"Waiting up to {self._close_seconds:.0f} seconds for {self.name} to receive the remaining data")
            self._thread.join(self._close_seconds - moment)
        if not self._thread.is_alive():
            return self.trouble()
        if self._has_said:
            return ""
        self._has_said = True
        return (
            f"--tracker {self.name} did not receive everything within {self._close_seconds:.0f} seconds; "
            f"resuming with --tracker {self.name} sends what is missing"
        )

    def _work(self) -> None:
        """Process news until :meth:`close` is called and none is left; all errors of the tracker are caught here."""
        try:
            self._begin_call()
            tracker = self._make()
            opened: dict[str, _Sender] = {}
            while (news := self._next()) is not None:
                run, status = news
                if run.key not in opened:
                    opened[run.key] = _Sender(tracker.open(run))
                opened[run.key].send(run, status, self._begin_call)
                if status:
                    del opened[run.key]
            self._begin_call()
            tracker.close()
        except Exception as error:  # noqa: BLE001 - whatever a tracker raises, the run goes on
            with self._changed:
                self._error = error
                self._news.clear()
        finally:
            with self._changed:
                self._busy_since = None

    def _begin_call(self) -> None:
        with self._changed:
            self._busy_since = time.monotonic()

    def _next(self) -> tuple[RunToTrack, str] | None:
        """Wait for news and take it; None once the mirror is closing and none is left."""
        with self._changed:
            self._busy_since = None
            self._changed.wait_for(lambda: self._news or self._closing)
            if not self._news:
                return None
            self._busy_since = time.monotonic()
            return self._news.pop(next(iter(self._news)))


class _Sender:
    """Sends what the tracker does not have yet of one run."""

    def __init__(self, tracked: TrackedRun) -> None:
        self._tracked = tracked
        self._scored: Evaluation | None = None

    def send(self, run: RunToTrack, status: str, before_call: Callable[[], None]) -> None:
        """Send everything new in the run folder."""
        folder, tracked = run.folder, self._tracked
        epochs: tuple[EpochMetrics, ...] = ()
        scored = None  # while the run folder is being created, there is nothing to send
        with suppress(RunFolderError):
            epochs = tuple(metrics_file.read(folder.metrics))
        with suppress(RunFolderError):
            scored = folder.read_evaluation()
        for metrics in epochs:
            if metrics.epoch > tracked.epochs_sent:
                before_call()
                tracked.epoch(metrics)
                tracked.epochs_sent = metrics.epoch
        if scored is not None and scored != self._scored:
            before_call()
            tracked.figures(figures_of(scored))
            self._scored = scored
        if status:
            for path in (folder.samples, folder.reconstructions):
                if path.exists():
                    before_call()
                    tracked.image(path.stem, path)
            before_call()
            tracked.end(status)


def figures_of(evaluation: Evaluation) -> Mapping[str, float]:
    """Return the figures of an evaluation by name, nats per image, with their errors and diagnostics.

    Names have the form ``split/method/what``; :func:`iafsweep.records.shown_figures` chooses among several figures of a
    method and split.
    """
    values: dict[str, float] = {}
    for (method, split), each in shown_figures(evaluation.estimates).items():
        found = {
            "nll": each.nll,
            "bits_per_dim": each.bits_per_dim,
            "standard_error": each.standard_error,
            "estimator_error": each.estimator_error,
            "untrusted_share": each.untrusted_share,
            "images": float(each.images),
        }
        values |= {f"{split}/{method}/{name}": value for name, value in found.items() if value is not None}
    for bounds in evaluation.sandwiches:
        values |= {f"simulated/{bounds.start}/gap": bounds.gap, f"simulated/{bounds.start}/gap_error": bounds.gap_error}
    return values
