"""The tree-structured Parzen estimator: a study built from the ledger, and one proposal drawn from it."""

import random
import warnings
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial

from iafsweep.search_space.candidate import Candidate, candidate, short_seed
from iafsweep.search_space.distributions import Scalar
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.optuna_study import frozen_trial
from iafsweep.sweep.samplers.sequences import SequenceProposer, _left
from iafsweep.sweep.storage.events import Known
from iafsweep.sweep.storage.state import LedgerState, TrialState


class _OptunaSuggest:
    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        return options[options.index(self._trial.suggest_categorical(name, options))]

    def integer(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        return self._trial.suggest_int(name, low, high, step=step, log=log)

    def real(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        return self._trial.suggest_float(name, low, high, step=step, log=log)


class TpeHistory:
    """What the estimator learns from: every trial of the ledger, in the order of proposal."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._objectives = 2 if space.sweep.objective == "bound_and_time" else 1
        self._told: dict[str, FrozenTrial | None] = {}

    def propose(self, state: LedgerState, seed: int) -> dict[str, Scalar]:
        """Return the values that a fresh sampler with ``seed`` proposes after the trials of ``state``."""
        sampler = _sampler(seed, self._space)
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(directions=["minimize"] * self._objectives, sampler=sampler, storage=storage)
        number = storage.get_study_id_from_name(study.study_name)
        for told in (*map(self._recall, state.known), *map(self._tell, state.trials)):
            if told is not None:
                storage.create_new_trial(number, told)  # the study's own way checks each again, every time
        return self._space.suggest(_OptunaSuggest(study.ask()))

    def _tell(self, trial: TrialState) -> FrozenTrial | None:
        if trial.trial in self._told:
            return self._told[trial.trial]
        told = frozen_trial(self._space, trial.proposed.parameters, trial.finished, self._objectives)
        if trial.finished is not None:
            self._told[trial.trial] = told
        return told

    def _recall(self, known: Known) -> FrozenTrial | None:
        if known.source not in self._told:
            self._told[known.source] = frozen_trial(self._space, known.parameters, known, self._objectives)
        return self._told[known.source]


def _sampler(seed: int, space: SearchSpace) -> optuna.samplers.TPESampler:
    """The sampler; a share of a short sweep's trials are drawn at random first."""
    how = space.procedure
    startup = min(max(space.sweep.trials // how.startup_share, how.startup_fewest), how.startup_most)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=startup
        )


class TpeProposer:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), multivariate and grouped by condition, through Optuna.

    Proposal ``number`` is a function of the seed, ``number`` and the rows before it: each is drawn by a fresh sampler
    with a seed of its own from a study built from the ledger. Early-stopped trials are told as pruned at their last
    value; trials that diverged, ran out of memory or failed as pruned at a bad value, since what failed outright the
    estimator ignores and proposes again. After 25 duplicates in a row, the rest of 100 are drawn at random; then comes
    what is left of a finite space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._history = TpeHistory(space)
        self._left = SequenceProposer(_left(space))

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return a configuration that was not tried; None when the space is used up.

        None also after 100 duplicates, where the number of configurations is not known.
        """
        if self._space.size is not None and len(state.keys) >= self._space.size:
            return None
        number = state.last_number + 1
        for attempt in range(self._space.procedure.duplicates):
            seed = short_seed("tpe", self._space.sweep.seed, number, attempt)
            if attempt < self._space.procedure.tpe_duplicates:
                values = self._history.propose(state, seed)
            else:
                values = self._space.suggest(RandomSuggest(random.Random(seed)))
            found = candidate(self._space, values)
            if found is not None and found.key not in state.keys:
                return found
        return self._left.propose(state)
