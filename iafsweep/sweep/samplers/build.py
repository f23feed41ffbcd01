"""The sampler that a space's `sweep.sampler` names."""

from collections.abc import Callable

from iafsweep.config.sweep import SAMPLERS
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import Proposer
from iafsweep.sweep.samplers.sequences import FirstProposer


def make_proposer(space: SearchSpace) -> Proposer:
    """Return the proposer that ``space.sweep.sampler`` names.

    Raises:
        ConfigError: ``grid`` on a space that is not finite, or ``cmaes`` on one without an unconditional number.
        PluginError: the sampler's plugin is not loaded.
    """
    member: Callable[[SearchSpace], Proposer] = SAMPLERS.load(space.sweep.sampler)
    proposer = member(space)
    listed = space.sweep.sampler == "listed"
    return FirstProposer(space, proposer) if space.first and not listed else proposer
