"""What there is to hear of a sweep, for one callback or for several."""

from __future__ import annotations

from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.trial_report import TrialReport


class SweepCallback:
    """Hears of a sweep, in the driver, and does nothing; a member overrides what it hears."""

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Trials are about to start; ``state`` is what earlier drivers did of the ``trials`` asked for."""

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """A trial has trained an epoch."""

    def finished(self, row: Finished, state: LedgerState) -> None:
        """A trial ended."""

    def message(self, text: str) -> None:
        """Something else worth a line happened."""

    def end(self) -> None:
        """No more will come."""


class CallbackList(SweepCallback):
    """Passes everything on to each of its members, in their order.

    Args:
        members: who hears.
    """

    def __init__(self, *members: SweepCallback) -> None:
        self._members = members

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Pass on that trials are about to start."""
        for member in self._members:
            member.begin(plan, state, trials)

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
