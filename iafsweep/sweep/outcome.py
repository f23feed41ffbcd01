"""How a sweep ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from iafsweep.sweep.state import LedgerState


@dataclass(frozen=True)
class SweepOutcome:
    """How a sweep ended, this time.

    Attributes:
        status: ``completed``: as many trials as asked for; ``exhausted``: the sampler found nothing new before that;
            ``interrupted``: a signal; ``aborted``: trial after trial failed in the same place.
        state: the ledger.
        signal: the signal's number when interrupted.
        error: the traceback when aborted.
    """

    status: Literal["completed", "exhausted", "interrupted", "aborted"]
    state: LedgerState
    signal: int | None = None
    error: str = ""

    @property
    def exit_code(self) -> int:
        """0; 128 + the signal when interrupted (130 for Ctrl-C, 143 for SIGTERM); 1 when aborted."""
        if self.status == "interrupted":
            return 128 + (self.signal or 2)
        return 1 if self.status == "aborted" else 0
