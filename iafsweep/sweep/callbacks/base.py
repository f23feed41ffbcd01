"""Several who hear of the same sweep."""

from __future__ import annotations

from typing import Protocol

from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.trial_report import TrialReport


class Audience:
    """Passes everything on to each of its members, in their order.

    Args:
        members: who hears.
    """

    def __init__(self, *members: SweepProgress) -> None:
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

    def remark(self, text: str) -> None:
        """Pass on a remark."""
        for member in self._members:
            member.remark(text)

    def end(self) -> None:
        """Pass on that no more will come."""
        for member in self._members:
            member.end()


class SweepProgress(Protocol):
    """Hears of a sweep, in the driver."""

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Trials are about to start; ``state`` is what earlier drivers did of the ``trials`` asked for."""

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """A trial has trained an epoch."""

    def finished(self, row: Finished, state: LedgerState) -> None:
        """A trial ended."""

    def remark(self, text: str) -> None:
        """Something else worth a line happened."""

    def end(self) -> None:
        """No more will come."""


class NoProgress:
    """Says nothing."""

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Say nothing."""

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """Say nothing."""

    def finished(self, row: Finished, state: LedgerState) -> None:
        """Say nothing."""

    def remark(self, text: str) -> None:
        """Say nothing."""

    def end(self) -> None:
        """Say nothing."""
