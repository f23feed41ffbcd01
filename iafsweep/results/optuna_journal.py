"""Convert a sweep to an Optuna study or journal (for optuna-dashboard), from its ledger and run folders."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from iafsweep.errors import RunFolderError
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.samplers.optuna_study import frozen_trial
from iafsweep.sweep.storage.events import Finished, Started
from iafsweep.sweep.storage.state import TrialState
from iafsweep.sweep.storage.stored_sweep import StoredSweep

__all__ = ["Study", "study_of", "write_journal"]

_POINTS = 50
"""Approximate number of points in a trial's curve."""


def write_journal(sweep: StoredSweep, path: Path) -> None:
    """Write the study of a sweep to ``path``, which does not exist yet.

    Optuna numbers trials from 0 without gaps, sweeps from 1. Numbers are kept: trial 7 of the study is trial 7 of the
    sweep, and a number without a trial becomes a failed trial without values. Completed trials have their best bound.
    Stopped trials are pruned, with their last bound; diverged, out-of-memory and failed ones are failed. Others are
    waiting, or running if they have started and a driver runs.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _add_study(sweep, JournalStorage(JournalFileBackend(str(path))))


def study_of(sweep: StoredSweep) -> Study:
    """Return in memory the study that :func:`write_journal` writes."""
    storage = InMemoryStorage()
    return optuna.load_study(study_name=_add_study(sweep, storage), storage=storage)


def _add_study(sweep: StoredSweep, storage: BaseStorage) -> str:
    """Add the study of a sweep to a storage; return its name."""
    name = f"{sweep.folder.path.name} {sweep.state.header.sweep[:8]}"
    study = storage.create_new_study([StudyDirection.MINIMIZE], name)
    storage.set_study_system_attr(study, "study:metric_names", ["validation -ELBO (nats)"])
    numbered = {trial.proposed.number: trial for trial in sweep.state.trials}
    starts: dict[str, str] = {}
    for event in sweep.state.events:
        if isinstance(event, Started):
            starts.setdefault(event.trial, event.time)
    for number in range(max(numbered, default=0) + 1):
        trial = numbered.get(number)
        row = _nobody() if trial is None else _row(sweep, trial, starts.get(trial.trial))
        storage.create_new_trial(study, row)
    return name


def _nobody() -> FrozenTrial:
    return create_trial(state=OptunaState.FAIL, user_attrs={"trial": "none: trials are numbered from 1"})


def _row(sweep: StoredSweep, trial: TrialState, start: str | None) -> FrozenTrial:
    row = frozen_trial(sweep.space, trial.proposed.parameters, None)
    if row is None:
        return create_trial(state=OptunaState.FAIL, user_attrs={"trial": f"{trial.trial}: not in this search space"})
    row.set_user_attr("trial", trial.trial)
    if trial.donors:
        row.set_user_attr("continued from copies of", list(trial.donors))
    row.intermediate_values = _curve(RunFolder(sweep.folder.trial(trial.trial)))
    row.datetime_start = None if start is None else _local(start)
    if (end := trial.finished) is None:
        row.state = OptunaState.WAITING if sweep.driver is None or start is None else OptunaState.RUNNING
        return row
    row.state, row.value = _outcome(end)
    row.datetime_start, row.datetime_complete = row.datetime_start or _local(end.time), _local(end.time)
    row.set_user_attr("status", end.status)
    row.set_user_attr("epochs", end.epochs)
    row.set_user_attr("seconds", round(end.seconds, 3))
    if end.error.strip():
        row.set_user_attr("error", end.error.strip().splitlines()[-1])
    return row


def _outcome(end: Finished) -> tuple[OptunaState, float | None]:
    values = {"completed": (OptunaState.COMPLETE, end.best_value), "stopped": (OptunaState.PRUNED, end.value)}
    state, value = values.get(end.status, (OptunaState.FAIL, None))
    usable = value is not None and math.isfinite(value)
    return (state, value) if usable else (OptunaState.FAIL, None)


def _curve(run: RunFolder) -> dict[int, float]:
    """Return validation bounds by epoch: the first ten epochs, then every few."""
    if not run.metrics.exists():
        return {}
    with suppress(RunFolderError):
        rows = metrics_file.read(run.metrics)
        every = max(len(rows) // _POINTS, 1)
        shown = [row for row in rows if row.epoch <= 10 or row.epoch % every == 0]  # noqa: PLR2004 - the steep part
        bounds = {row.epoch: row.validation_negative_elbo for row in shown}
        return {epoch: bound for epoch, bound in bounds.items() if bound is not None and math.isfinite(bound)}
    return {}


def _local(time: str) -> datetime | None:
    """Return a ledger's time as Optuna stores it, local and without a time zone; None if it is not a time."""
    with suppress(ValueError):
        return datetime.fromisoformat(time).astimezone().replace(tzinfo=None)
    return None
