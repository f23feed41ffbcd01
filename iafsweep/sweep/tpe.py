"""The bridge to Optuna: a study built from a ledger, and one proposal drawn from it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from iafsweep.errors import ConfigError
from iafsweep.sweep.ranges import Scalar
from iafsweep.sweep.rows import Finished, Known
from iafsweep.sweep.space import SearchSpace
from iafsweep.sweep.state import LedgerState, TrialState

BAD_BOUND = 1e9
"""Nats per image told for a trial without a usable bound: finite, and worse than any real one."""
_MOST_STARTUP, _FEWEST_STARTUP = 10, 4


class _OptunaSuggest:
    """Values from an Optuna trial."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        return options[options.index(self._trial.suggest_categorical(name, options))]

    def integer(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        return self._trial.suggest_int(name, low, high, step=step, log=log)

    def real(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        return self._trial.suggest_float(name, low, high, step=step, log=log)


class _Recorder:
    """Gives known values back and notes the distribution each was drawn from."""

    def __init__(self, values: Mapping[str, Scalar]) -> None:
        self._values = values
        self.distributions: dict[str, BaseDistribution] = {}

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        self.distributions[name] = CategoricalDistribution(options)
        return self._value(name)

    def integer(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        self.distributions[name] = IntDistribution(low, high, log=log, step=step)
        return int(self._value(name))

    def real(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        self.distributions[name] = FloatDistribution(low, high, log=log, step=step)
        return float(self._value(name))

    def _value(self, name: str) -> Scalar:
        if name not in self._values:
            raise ConfigError(f"`{name}` has no value")
        return self._values[name]


class TpeHistory:
    """What the estimator learns from: every trial of the ledger, in the order of proposal.

    Args:
        space: the search space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._objectives = 2 if space.sweep.objective == "bound_and_time" else 1
        self._told: dict[str, FrozenTrial | None] = {}

    def propose(self, state: LedgerState, seed: int) -> dict[str, Scalar]:
        """Return the values that a fresh sampler with ``seed`` proposes after the trials of ``state``."""
        sampler = _sampler(seed, self._space.sweep.trials)
        study = optuna.create_study(directions=["minimize"] * self._objectives, sampler=sampler)
        study.add_trials([told for known in state.known if (told := self._recall(known)) is not None])
        study.add_trials([told for trial in state.trials if (told := self._tell(trial)) is not None])
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


def frozen_trial(
    space: SearchSpace, values: Mapping[str, Scalar], end: Finished | Known | None, objectives: int = 1
) -> FrozenTrial | None:
    """Return what Optuna is told of a trial; None if its values do not belong to ``space``.

    Completed: its best bound (and with two objectives the seconds of an epoch). Stopped early: pruned, with its last
    bound at its last epoch. Diverged, out of memory, failed: pruned, with :data:`BAD_BOUND` before the first epoch,
    which ranks it last. Not finished: running, which the estimator takes as bad, so that it does not propose the like
    meanwhile (a constant liar). With two objectives Optuna takes no bounds of single epochs: whatever did not complete
    is pruned without one, which ranks it last.
    """
    recorder = _Recorder(values)
    try:
        space.suggest(recorder)
        if recorder.distributions.keys() != values.keys():
            return None
        state, figures, steps = _outcome(end)
        return create_trial(
            state=state,
            values=figures[:objectives] if figures else None,
            params=dict(values),
            distributions=recorder.distributions,
            intermediate_values=steps if objectives == 1 else {},
        )
    except (ConfigError, ValueError):
        return None


def _outcome(finished: Finished | Known | None) -> tuple[optuna.trial.TrialState, list[float], dict[int, float]]:
    states = optuna.trial.TrialState
    if finished is None:
        return states.RUNNING, [], {}
    if finished.status == "completed" and finished.best_value is not None and math.isfinite(finished.best_value):
        return states.COMPLETE, [finished.best_value, finished.seconds / max(finished.epochs, 1)], {}
    if finished.status == "stopped" and finished.value is not None and math.isfinite(finished.value):
        return states.PRUNED, [], {finished.epochs: finished.value}
    return states.PRUNED, [], {0: BAD_BOUND}


def _sampler(seed: int, trials: int) -> optuna.samplers.TPESampler:
    """The sampler; the first quarter of a short sweep is drawn at random, at most 10 trials."""
    startup = min(max(trials // 4, _FEWEST_STARTUP), _MOST_STARTUP)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=startup
        )
