"""The tree-structured Parzen estimator, through Optuna."""

import warnings

import optuna

from iafsweep.search_space.sampling import Suggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import Proposer
from iafsweep.sweep.samplers.learning import LearningProposer, ended, startup_trials
from iafsweep.sweep.samplers.optuna_study import StudyTrials, ask
from iafsweep.sweep.storage.state import LedgerState


class TpeLearner:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), multivariate and grouped by condition.

    Early-stopped trials are reported as pruned at their last value; they rank after all completed ones and before those
    stopped earlier. Trials that diverged, ran out of memory or failed are reported as pruned at a bad value, since the
    estimator ignores trials reported as failed and would propose them again.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._trials = StudyTrials(space)

    def __call__(self, state: LedgerState, seed: int) -> Suggest | None:
        """Return what a new estimator with ``seed`` proposes; None while a Sobol sequence comes first."""
        told, startup = self._trials.told(state), startup_trials(self._space)
        if self._space.procedure.startup == "sobol" and ended(told) < startup:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=startup
            )
        return ask(self._space, told, sampler)


def tpe_proposer(space: SearchSpace) -> Proposer:
    """Return the `tpe` proposer."""
    return LearningProposer(space, "tpe", TpeLearner(space))
