"""The registry of samplers: which one a space's `sweep.sampler` names."""

from collections.abc import Callable

from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import Proposer
from iafsweep.sweep.samplers.sequences import (
    FirstProposer,
    ListedProposer,
    SequenceProposer,
    distinct,
    drawn_then_left,
    quasi_random_values,
    random_values,
)
from iafsweep.sweep.samplers.tpe import TpeProposer


def make_proposer(space: SearchSpace) -> Proposer:
    """Return the proposer that ``space.sweep.sampler`` names.

    Raises:
        ConfigError: ``grid`` on a space that is not finite.
    """
    sources: dict[str, Callable[[SearchSpace], Proposer]] = {
        "tpe": TpeProposer,
        "random": lambda space: SequenceProposer(drawn_then_left(space, random_values(space))),
        "quasi_random": lambda space: SequenceProposer(drawn_then_left(space, quasi_random_values(space))),
        "grid": lambda space: SequenceProposer(distinct(space, space.grid())),
        "listed": ListedProposer,
    }
    proposer = sources[space.sweep.sampler](space)
    listed = space.sweep.sampler == "listed"
    return FirstProposer(space, proposer) if space.first and not listed else proposer
