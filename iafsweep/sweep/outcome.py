"""How a sweep ended."""

from __future__ import annotations

from dataclasses import dataclass

from iafsweep.sweep.rows import SweepStatus
from iafsweep.sweep.state import LedgerState


@dataclass(frozen=True)
class SweepOutcome:
    """How a sweep ended, this time.

    Attributes:
        status: ``completed``: as many trials as asked for; ``exhausted``: the sampler found nothing new before that;
            ``stopped``: a budget is used up or the disk is full; ``interrupted``: a signal, or ``stop``;
            ``aborted``: trial after trial failed in the same place.
        state: the ledger.
        reason: what ended it before its last trial, in words.
        signal: the signal's number when interrupted.
        error: the traceback when aborted.
    """

    status: SweepStatus
    state: LedgerState
    reason: str = ""
    signal: int | None = None
    error: str = ""

    @property
    def exit_code(self) -> int:
        """0; 128 + the signal when interrupted (130 for Ctrl-C, 143 for SIGTERM); 1 when aborted."""
        if self.status == "interrupted":
            return 128 + (self.signal or 2)
        return 1 if self.status == "aborted" else 0
