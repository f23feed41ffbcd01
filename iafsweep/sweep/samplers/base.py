"""TODO iafsweep.sweep.samplers.base."""

from __future__ import annotations

from typing import Protocol

from iafsweep.search_space.candidate import Candidate
from iafsweep.sweep.storage.state import LedgerState

DUPLICATES = 100
"""So many proposals in a row that were tried before end what is drawn."""


class Proposer(Protocol):
    """Proposes configurations; all memory is the ledger's, so that a resumed sweep goes on as if never interrupted."""

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return a configuration that was not tried yet; None when there is none left, or none is found."""
