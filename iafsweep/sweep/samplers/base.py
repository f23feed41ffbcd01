"""The interface of samplers, and when a space is exhausted."""

from typing import Protocol

from iafsweep.search_space.candidate import Candidate
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.state import LedgerState

WALKABLE = 100_000
"""The largest space whose remaining configurations are tried one by one once drawing finds nothing new."""


def why_exhausted(space: SearchSpace) -> str:
    """Return a sentence that says why the proposer of a space has nothing new."""
    if space.sweep.sampler == "listed":
        return "Every listed configuration has been tried."
    if space.sweep.sampler == "grid" or is_walkable(space):
        return "The space holds no further configurations."
    count = space.procedure.duplicates
    return f"None of {count} proposals in a row was new; the space may hold further configurations."


def is_walkable(space: SearchSpace) -> bool:
    """Return whether every configuration of a space is tried before it is exhausted."""
    return space.size is not None and space.size <= WALKABLE


class Proposer(Protocol):
    """Proposes configurations; all memory is in the ledger, so a resumed sweep continues as if never interrupted."""

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return a configuration that was not tried yet; None if none is left or none was found."""
