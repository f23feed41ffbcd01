"""The sweep's study as an Optuna journal, for optuna-dashboard to open while the sweep runs.

A mirror: nothing is read back from it but what it holds already, and it can be made again from the ledger at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState

from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.samplers.optuna_study import frozen_trial
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.state import LedgerState, TrialState
from iafsweep.sweep.storage.trial_report import TrialReport

_POINTS = 50
"""About so many points of a trial's curve are mirrored."""

_ENDS = {"completed": OptunaState.COMPLETE, "stopped": OptunaState.PRUNED}
_KEY = "trial"


class JournalMirror(SweepCallback):
    """Hears of a sweep and writes ``optuna.journal``; what goes wrong with it is logged once, and ends no sweep."""

    def __init__(self, space: SearchSpace, folder: SweepFolder, log: logging.Logger) -> None:
        self._space, self._folder, self._log = space, folder, log
        self._study: _Study | None = None

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Open the journal, or make it again if it cannot be read, and bring it up to the ledger."""
        with self._or_none():
            try:
                self._study = self._open(state)
            except Exception as error:  # noqa: BLE001 - a damaged journal raises whatever its reader meets
                self._log.warning("%s cannot be read (%r) and is made again", self._folder.journal, error)
                self._folder.journal.unlink(missing_ok=True)
                self._study = self._open(state)

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """Add a point to the trial's curve."""
        if self._study is not None and _is_shown(report.epoch, report.epochs):
            with self._or_none():
                self._study.point(state.named[report.trial], report.epoch, report.validation_negative_elbo)

    def finished(self, row: Finished, state: LedgerState) -> None:
        """End the trial."""
        if self._study is not None:
            with self._or_none():
                self._study.take(state.named[row.trial])

    def _open(self, state: LedgerState) -> _Study:
        # We are the folder's one driver: a lock that is there was left by a killed one.
        for suffix in (".lock", ".lock.rename"):
            self._folder.journal.with_name(self._folder.journal.name + suffix).unlink(missing_ok=True)
        study = _Study(self._space, str(self._folder.journal), f"{self._folder.path.name} {state.header.sweep[:8]}")
        for trial in state.trials:
            study.take(trial)
        return study

    @contextmanager
    def _or_none(self) -> Iterator[None]:
        """Give the journal up where the block fails."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self._study = None
            self._log.warning("%s is not kept any further: %r", self._folder.journal, error)


class _Study:
    """The study in the journal, and which of its trials is which of ours."""

    def __init__(self, space: SearchSpace, path: str, name: str) -> None:
        self._space = space
        self._storage = JournalStorage(JournalFileBackend(path))
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self._study = self._storage.get_study_id_from_name(name)
        except KeyError:
            self._study = self._storage.create_new_study([StudyDirection.MINIMIZE], name)
            self._storage.set_study_system_attr(self._study, "study:metric_names", ["validation -ELBO (nats)"])
        trials = self._storage.get_all_trials(self._study, deepcopy=False)
        self._ids = {trial.user_attrs[_KEY]: trial._trial_id for trial in trials if _KEY in trial.user_attrs}
        self._ended = {trial._trial_id for trial in trials if trial.state.is_finished()}

    def take(self, trial: TrialState) -> None:
        """Bring a trial to where the ledger has it."""
        number = self._number(trial)
        if number is None or number in self._ended or trial.finished is None:
            return
        end = trial.finished
        self._storage.set_trial_user_attr(number, "end", _end_of(end))
        state, values = _ENDS.get(end.status, OptunaState.FAIL), None
        if state == OptunaState.COMPLETE:
            state, values = (OptunaState.FAIL, None) if end.best_value is None else (state, [end.best_value])
        if state == OptunaState.PRUNED and end.value is not None:
            self._storage.set_trial_intermediate_value(number, end.epochs, end.value)
            values = [end.value]
        self._storage.set_trial_state_values(number, state, values)
        self._ended.add(number)

    def point(self, trial: TrialState, epoch: int, value: float) -> None:
        number = self._number(trial)
        if number is not None and number not in self._ended:
            self._storage.set_trial_intermediate_value(number, epoch, value)

    def _number(self, trial: TrialState) -> int | None:
        """The trial's id in the journal, where it is made if it is new; None if it does not belong to the space."""
        key = trial.trial + (f" again {trial.reopened}" if trial.reopened else "")
        if key not in self._ids:
            frozen = frozen_trial(self._space, trial.proposed.parameters, None)
            if frozen is None:
                return None
            frozen.set_user_attr(_KEY, key)
            self._ids[key] = self._storage.create_new_trial(self._study, frozen)
        return self._ids[key]


def _end_of(end: Finished) -> dict[str, Any]:
    found: dict[str, Any] = {"status": end.status, "epochs": end.epochs, "seconds": round(end.seconds, 3)}
    with suppress(IndexError):
        found["error"] = end.error.strip().splitlines()[-1]
    return found


def _is_shown(epoch: int, epochs: int) -> bool:
    return epoch <= 10 or epoch % max(epochs // _POINTS, 1) == 0
