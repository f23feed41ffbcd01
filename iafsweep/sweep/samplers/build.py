"""The registry of samplers: which one a space's `sweep.sampler` names."""

from __future__ import annotations

from collections.abc import Callable

from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import Proposer
from iafsweep.sweep.samplers.sequences import (
    FirstProposer,
    ListedProposer,
    SequenceProposer,
    distinct,
    quasi_random_values,
    random_candidates,
)
from iafsweep.sweep.samplers.tpe import TpeProposer


def make_proposer(space: SearchSpace) -> Proposer:
    """Return the proposer that ``space.sweep.sampler`` names.

    Raises:
        ConfigError: ``grid`` on a space that is not finite.
    """
    sources: dict[str, Callable[[SearchSpace], Proposer]] = {
        "tpe": TpeProposer,
        "random": lambda space: SequenceProposer(random_candidates(space)),
        "quasi_random": lambda space: SequenceProposer(
            distinct(space, quasi_random_values(space), space.procedure.duplicates)
        ),
        "grid": lambda space: SequenceProposer(distinct(space, space.grid())),
        "listed": ListedProposer,
    }
    proposer = sources[space.sweep.sampler](space)
    listed = space.sweep.sampler == "listed"
    return FirstProposer(space, proposer) if space.first and not listed else proposer
