"""Trials of a ledger as Optuna is told of them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from iafsweep.errors import ConfigError
from iafsweep.search_space.distributions import Scalar
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.events import Finished, Known

BAD_BOUND = 1e9
"""Nats per image told for a trial without a usable bound: finite, and worse than any real one."""


class _Told(FrozenTrial):
    """A trial that never changes once it is told, so that a study in memory may share what it holds.

    A deep copy of every trial was nine tenths of a proposal. What is shared nobody changes: Optuna writes only to the
    trial that it is asked for.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenTrial:
        shared = self.__class__.__new__(self.__class__)
        shared.__dict__.update(self.__dict__)
        return shared


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
        told = create_trial(
            state=state,
            values=figures[:objectives] if figures else None,
            params=dict(values),
            distributions=recorder.distributions,
            intermediate_values=steps if objectives == 1 else {},
        )
        told.__class__ = _Told
        return told
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
