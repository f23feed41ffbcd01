"""The interface of a sweep's callbacks, a list of them, and the reason why a sweep ends."""

from typing import Literal, get_args

from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.trial_report import TrialReport


class SweepCallback:
    """Base class of callbacks, which run in the driver; every method does nothing unless a subclass overrides it."""

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Trials are about to start; ``state`` holds what earlier drivers did of the ``trials`` requested."""

    def started(self, trial: str, state: LedgerState) -> None:
        """A process has started or resumed a trial."""

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """A trial has trained an epoch."""

    def finished(self, row: Finished, state: LedgerState) -> None:
        """A trial has ended."""

    def message(self, text: str) -> None:
        """Something else worth a line has happened."""

    def end(self) -> None:
        """No more calls will follow."""


class CallbackList(SweepCallback):
    """Forwards every call to its members, in order."""

    def __init__(self, *members: SweepCallback) -> None:
        self._members = members

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Pass on that trials are about to start."""
        for member in self._members:
            member.begin(plan, state, trials)

    def started(self, trial: str, state: LedgerState) -> None:
        """Pass on that a trial began."""
        for member in self._members:
            member.started(trial, state)

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """Pass on a trial's epoch."""
        for member in self._members:
            member.epoch(report, state)

    def finished(self, row: Finished, state: LedgerState) -> None:
        """Pass on a trial's end."""
        for member in self._members:
            member.finished(row, state)

    def message(self, text: str) -> None:
        """Pass on a message."""
        for member in self._members:
            member.message(text)

    def end(self) -> None:
        """Pass on that no more calls will follow."""
        for member in self._members:
            member.end()


Cause = Literal["interrupted", "aborted", "full disk", "stopped", "stalled"]
"""A signal or ``stop``; trials in a row failing in the same way; a trial that finds the disk full; a budget, or no disk
space for another trial; Tune not starting waiting trials. If several are given, the first in this list counts."""


class StopReason:
    """Why a sweep ends, or would end if trials were left.

    Attributes:
        cause: what ends it; None while nothing does.
        text: the same in words.
        error: the traceback with which several trials in a row failed; else empty.
        ends_running: whether running trials save and end too; else they train on, and no other trial starts.
        exhausted: whether the sampler found nothing new.
    """

    def __init__(self) -> None:
        self.cause: Cause | None = None
        self.text = ""
        self.error = ""
        self.ends_running = False
        self.exhausted = False

    def give(self, cause: Cause, text: str = "", *, error: str = "", ends_running: bool = True) -> None:
        """Set why the sweep should end; an earlier cause stays unless this one takes precedence."""
        if self.cause is None or get_args(Cause).index(cause) < get_args(Cause).index(self.cause):
            self.cause, self.text, self.error = cause, text, error
        self.ends_running |= ends_running

    def begin(self) -> None:
        """Forget a cause that ended Tune's loop but not the sweep."""
        self.exhausted = False
        if self.cause == "stalled":
            self.cause, self.ends_running = None, False
