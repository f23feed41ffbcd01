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
    """Expected improvement under a Gaussian process (Matern 5/2, a length scale each parameter), Optuna's.

    One process over all parameters, those that a condition switches off too, told with values drawn at random; it
    learns from completed trials alone, so others are told with what they are estimated to come to. Running trials are
    integrated out. The time of a proposal grows with the cube of the number of trials: for some hundreds.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._trials = StudyTrials(space, whole=True)

    def __call__(self, state: LedgerState, seed: int) -> Suggest | None:
        """Return where the improvement is largest; None while too few trials have ended."""
        ends = estimated_ends(state)
        told = self._trials.told(state, ends)
        if not ends or ended(told) < startup_trials(self._space):
            return None
        sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
        return ask(self._space, told, sampler)


def gp_proposer(space: SearchSpace) -> Proposer:
    """Return `gp`; where what it proposes was tried before, as in finite spaces it often was, `tpe` proposes."""
    return LearningProposer(space, "gp", GpLearner(space), otherwise=TpeLearner(space))
