"""What there is to hear of a sweep, for one callback or for several."""

from typing import Literal, get_args

from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.trial_report import TrialReport


class SweepCallback:
    """Hears of a sweep, in the driver, and does nothing; a member overrides what it hears."""

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Trials are about to start; ``state`` is what earlier drivers did of the ``trials`` asked for."""

    def started(self, trial: str, state: LedgerState) -> None:
        """A process has begun with a trial, or goes on with it."""

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """A trial has trained an epoch."""

    def finished(self, row: Finished, state: LedgerState) -> None:
        """A trial ended."""

    def message(self, text: str) -> None:
        """Something else worth a line happened."""

    def end(self) -> None:
        """No more will come."""


class CallbackList(SweepCallback):
    """Passes everything on to each of its members, in their order."""

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
        """Pass on that no more will come."""
        for member in self._members:
            member.end()


Cause = Literal["interrupted", "aborted", "full disk", "stopped", "stalled"]
"""A signal or ``stop``; trial after trial failing alike; a trial without room; a budget, or no room for a further
trial; Tune not starting what waits. The first of these that is given counts."""


class StopReason:
    """Why a sweep ends, or would, were trials left.

    Attributes:
        cause: what ends it; None while nothing does.
        text: the same in words.
        error: the traceback that trial after trial ended with; else empty.
        ends_running: whether running trials save and end too; else they train on, and no further one begins.
        exhausted: whether the sampler found nothing new.
    """

    def __init__(self) -> None:
        self.cause: Cause | None = None
        self.text = ""
        self.error = ""
        self.ends_running = False
        self.exhausted = False

    def give(self, cause: Cause, text: str = "", *, error: str = "", ends_running: bool = True) -> None:
        """Say why the sweep should end; what was given before stays unless this counts for more."""
        if self.cause is None or get_args(Cause).index(cause) < get_args(Cause).index(self.cause):
            self.cause, self.text, self.error = cause, text, error
        self.ends_running |= ends_running

    def begin(self) -> None:
        """Forget what ended Tune's loop, and not the sweep."""
        self.exhausted = False
        if self.cause == "stalled":
            self.cause, self.ends_running = None, False
