"""What a sampler is."""

from typing import Protocol

from iafsweep.search_space.candidate import Candidate
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.state import LedgerState

WALKABLE = 100_000
"""Of a space with no more configurations, those that were not drawn are tried then, one after the other."""


def why_exhausted(space: SearchSpace) -> str:
    """What is true where the proposer of a space has nothing new, in a sentence."""
    if space.sweep.sampler == "listed":
        return "Every configuration that is listed has been tried."
    if space.sweep.sampler == "grid" or is_walkable(space):
        return "The space holds no further configurations."
    count = space.procedure.duplicates
    return f"Of {count} proposals in a row none was new; the space may hold further configurations."


def is_walkable(space: SearchSpace) -> bool:
    """Whether every configuration of a space is tried before the space is exhausted."""
    return space.size is not None and space.size <= WALKABLE


class Proposer(Protocol):
    """Proposes configurations; all memory is the ledger's, so that a resumed sweep goes on as if never interrupted."""

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return a configuration that was not tried yet; None when there is none left, or none is found."""
