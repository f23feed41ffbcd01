"""Trials of a ledger as reported to Optuna, and a study of them, from which a sampler proposes."""

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
"""The user attribute that holds the name of a reported trial."""

BAD_BOUND = 1e9
"""Nats per image reported for a trial without a usable bound: finite, and worse than any real one."""


class _Told(FrozenTrial):
    """A reported trial, which never changes, so that a study in memory may share its contents.

    Deep copies of all trials took nine tenths of a proposal's time. Sharing is safe: Optuna writes only to the trial
    that it is asked for.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenTrial:
        shared = self.__class__.__new__(self.__class__)
        shared.__dict__.update(self.__dict__)
        return shared


class _Recorder:
    """Returns known values and notes the distribution each was drawn from."""

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
    """Return a trial as it is reported to Optuna; None if its values do not belong to ``space``.

    Completed: its best bound (and with two objectives the seconds per epoch). Stopped early: pruned, with its last
    bound at its last epoch. Diverged, out of memory, failed: pruned, with :data:`BAD_BOUND` before the first epoch,
    which ranks it last. Not finished: running, which the estimator counts as bad, so that it does not propose similar
    values meanwhile (a constant liar). With two objectives Optuna accepts no bounds of single epochs: a trial that did
    not complete is pruned without one, which ranks it last.
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
    """Every trial of a ledger as reported to a study of ``space``, in the order of proposal.

    ``whole``: each has all parameters. Except for `tpe`, Optuna's samplers learn only from parameters that every trial
    has, and draw the others at random. So an inactive parameter is reported with a value drawn at random, once per
    trial: over the trials there is then nothing to learn about it where it has no effect.
    """

    def __init__(self, space: SearchSpace, *, whole: bool = False) -> None:
        self._space = space
        unconditional = tuple(replace(parameter, when=None) for parameter in space.parameters)
        self._whole = replace(space, parameters=unconditional) if whole else None
        self._told: dict[str, tuple[Finished | Known | None, FrozenTrial | None]] = {}

    def told(
        self, state: LedgerState, ends: Mapping[str, Finished | Known] = MappingProxyType({})
    ) -> list[FrozenTrial]:
        """Return the trials, with ``ends`` (by name) in place of how they ended."""
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
    """Return the direction in which a study of ``space`` optimises each figure."""
    return [StudyDirection.MINIMIZE] * (2 if space.sweep.objective == "bound_and_time" else 1)


def ask(space: SearchSpace, told: Iterable[FrozenTrial], sampler: optuna.samplers.BaseSampler) -> Suggest:
    """Return the values that a sampler proposes in a study of the trials ``told``."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # its warnings concern only speed
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(directions=directions(space), sampler=sampler, storage=storage)
    number = storage.get_study_id_from_name(study.study_name)
    for trial in told:
        storage.create_new_trial(number, trial)  # study.add_trial would check each trial again, every time
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
