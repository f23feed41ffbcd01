"""Several who hear of the same sweep."""

from __future__ import annotations

from iafsweep.sweep.cluster import Plan
from iafsweep.sweep.progress import SweepProgress
from iafsweep.sweep.report import TrialReport
from iafsweep.sweep.rows import Finished
from iafsweep.sweep.state import LedgerState


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
