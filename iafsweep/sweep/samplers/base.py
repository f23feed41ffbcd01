"""What a sampler is."""

from __future__ import annotations

from typing import Protocol

from iafsweep.search_space.candidate import Candidate
from iafsweep.sweep.storage.state import LedgerState


class Proposer(Protocol):
    """Proposes configurations; all memory is the ledger's, so that a resumed sweep goes on as if never interrupted."""

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return a configuration that was not tried yet; None when there is none left, or none is found."""
