"""Trials of a ledger as Optuna is told of them, and a study of them, which a sampler proposes from."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial

from iafsweep.errors import ConfigError
from iafsweep.search_space.candidate import short_seed
from iafsweep.search_space.distributions import Scalar
from iafsweep.search_space.sampling import RandomSuggest, Suggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.events import Finished, Known
from iafsweep.sweep.storage.state import LedgerState

NAME = "name"
"""The attribute with the name of a told trial."""

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
    space: SearchSpace, values: Mapping[str, Scalar], end: Finished | Known | None, objectives: int = 1, name: str = ""
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
            user_attrs={NAME: name} if name else {},
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


class StudyTrials:
    """Every trial of a ledger as a study of ``space`` is told of it, in the order of proposal.

    ``whole``: each has all parameters. Optuna's samplers but for `tpe` learn of those alone that every trial has, and
    draw the others at random; an inactive parameter is told with a value drawn at random, once for each trial, so that
    over the trials there is nothing to learn of where it does nothing.
    """

    def __init__(self, space: SearchSpace, *, whole: bool = False) -> None:
        self._space = space
        unconditional = tuple(replace(parameter, when=None) for parameter in space.parameters)
        self._whole = replace(space, parameters=unconditional) if whole else None
        self._told: dict[str, tuple[Finished | Known | None, FrozenTrial | None]] = {}

    def told(
        self, state: LedgerState, ends: Mapping[str, Finished | Known] = MappingProxyType({})
    ) -> list[FrozenTrial]:
        """Return the trials, ``ends`` of them by name in place of how they ended."""
        known = ((row.source, row.parameters, ends.get(row.source, row)) for row in state.known)
        own = ((row.trial, row.proposed.parameters, ends.get(row.trial, row.finished)) for row in state.trials)
        return [told for each in (*known, *own) if (told := self._tell(*each)) is not None]

    def _tell(self, name: str, values: Mapping[str, Scalar], end: Finished | Known | None) -> FrozenTrial | None:
        before = self._told.get(name)
        if before is None or before[0] is not end:
            before = self._told[name] = end, self._made(name, values, end)
        return before[1]

    def _made(self, name: str, values: Mapping[str, Scalar], end: Finished | Known | None) -> FrozenTrial | None:
        objectives = len(directions(self._space))
        told = frozen_trial(self._space, values, end, objectives, name)
        if told is None or self._whole is None:
            return told
        drawn = self._whole.suggest(RandomSuggest(random.Random(short_seed("inactive", name))))
        return frozen_trial(self._whole, drawn | dict(values), end, objectives, name)


def directions(space: SearchSpace) -> list[StudyDirection]:
    """Return what a study of ``space`` does with each figure."""
    return [StudyDirection.MINIMIZE] * (2 if space.sweep.objective == "bound_and_time" else 1)


def ask(space: SearchSpace, told: Iterable[FrozenTrial], sampler: optuna.samplers.BaseSampler) -> Suggest:
    """Return the values that a sampler proposes in a study of ``told``."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # what it warns of is how fast it could be
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(directions=directions(space), sampler=sampler, storage=storage)
    number = storage.get_study_id_from_name(study.study_name)
    for trial in told:
        storage.create_new_trial(number, trial)  # the study's own way checks each again, every time
    return _OptunaSuggest(study.ask())


class _OptunaSuggest:
    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        return options[options.index(self._trial.suggest_categorical(name, options))]

    def integer(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        return self._trial.suggest_int(name, low, high, step=step, log=log)

    def real(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        return self._trial.suggest_float(name, low, high, step=step, log=log)
