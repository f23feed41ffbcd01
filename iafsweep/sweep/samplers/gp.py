"""A Gaussian process over the whole space, through Optuna."""

import optuna

from iafsweep.search_space.sampling import Suggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import Proposer
from iafsweep.sweep.samplers.estimates import estimated_ends
from iafsweep.sweep.samplers.learning import LearningProposer, ended, startup_trials
from iafsweep.sweep.samplers.optuna_study import StudyTrials, ask
from iafsweep.sweep.samplers.tpe import TpeLearner
from iafsweep.sweep.storage.state import LedgerState


class GpLearner:
    """Expected improvement under Optuna's Gaussian process (Matern 5/2, one length scale per parameter).

    One process covers all parameters; inactive ones are reported with values drawn at random. It learns only from
    completed trials, so the others are reported with their estimated final bounds. Running trials are integrated out.
    The time of a proposal grows with the cube of the number of trials: suitable for a few hundred.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._trials = StudyTrials(space, whole=True)

    def __call__(self, state: LedgerState, seed: int) -> Suggest | None:
        """Return the point of largest expected improvement; None while too few trials have ended."""
        ends = estimated_ends(state)
        told = self._trials.told(state, ends)
        if not ends or ended(told) < startup_trials(self._space):
            return None
        sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
        return ask(self._space, told, sampler)


def gp_proposer(space: SearchSpace) -> Proposer:
    """Return the `gp` proposer; if its proposal was tried before, as is common in finite spaces, `tpe` proposes."""
    return LearningProposer(space, "gp", GpLearner(space), otherwise=TpeLearner(space))
