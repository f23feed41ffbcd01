"""Common part of samplers that learn from trials: how they begin, and what follows when they repeat themselves."""

import random
from collections.abc import Callable, Sequence

from optuna.trial import FrozenTrial

from iafsweep.search_space.candidate import Candidate, candidate, short_seed
from iafsweep.search_space.sampling import RandomSuggest, Suggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.sequences import SequenceProposer, distinct, left, quasi_random_values
from iafsweep.sweep.storage.state import LedgerState

Learner = Callable[[LedgerState, int], Suggest | None]
"""Proposes values from the trials of a ledger, with a seed; None while these are too few to learn from."""


def startup_trials(space: SearchSpace) -> int:
    """Return how many trials must end before a sampler learns from them."""
    how = space.procedure
    return min(max(space.sweep.trials // how.startup_share, how.startup_fewest), how.startup_most)


def ended(told: Sequence[FrozenTrial]) -> int:
    """Return how many of the trials reported to a study have ended."""
    return sum(trial.state.is_finished() for trial in told)


class LearningProposer:
    """Proposes what a learner does, seeded by the number of the proposal.

    Proposal ``number`` depends only on the seed, ``number`` and the rows before it: the learner has no other memory.
    While too little is known, it is the next point of a scrambled Sobol sequence, so that the first trials spread over
    the space. If the learner's first proposal was tried before, ``otherwise`` proposes; this is for learners that would
    repeat themselves with any seed. After 25 duplicates in a row, the rest of 100 are drawn at random; then come the
    remaining configurations of a finite space. ``name`` is the sampler's name, which its seeds depend on.
    """

    def __init__(self, space: SearchSpace, name: str, learner: Learner, otherwise: Learner | None = None) -> None:
        self._space, self._name = space, name
        self._learner, self._otherwise = learner, otherwise or learner
        seed, duplicates = short_seed("startup", space.sweep.seed), space.procedure.duplicates
        self._startup = SequenceProposer(distinct(space, quasi_random_values(space, seed), duplicates))
        self._left = SequenceProposer(left(space))

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return a configuration that was not tried; None when the space is used up.

        Also None after 100 duplicates, unless the space is small enough to list (:func:`is_walkable`).
        """
        if self._space.size is not None and len(state.keys) >= self._space.size:
            return None
        for attempt in range(self._space.procedure.duplicates):
            seed, suggest = short_seed(self._name, self._space.sweep.seed, state.last_number + 1, attempt), None
            if attempt < self._space.procedure.tpe_duplicates:
                suggest = (self._otherwise if attempt else self._learner)(state, seed)
                if suggest is None and (first := self._startup.propose(state)) is not None:
                    return first
            found = candidate(self._space, self._space.suggest(suggest or RandomSuggest(random.Random(seed))))
            if found is not None and found.key not in state.keys:
                return found
        return self._left.propose(state)
