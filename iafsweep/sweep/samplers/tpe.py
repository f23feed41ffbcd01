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

    Early-stopped trials are told as pruned at their last value, behind all completed ones and before those that were
    stopped earlier; trials that diverged, ran out of memory or failed as pruned at a bad value, since what failed
    outright the estimator ignores and proposes again.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._trials = StudyTrials(space)

    def __call__(self, state: LedgerState, seed: int) -> Suggest | None:
        """Return what a fresh estimator with ``seed`` proposes; None while a Sobol sequence is to go before."""
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
    """Return `tpe`."""
    return LearningProposer(space, "tpe", TpeLearner(space))
