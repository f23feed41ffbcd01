"""Warm start: trials of an earlier sweep, given to the sampler of a new one."""

from typing import Any

from iafsweep.config.meaning import identity
from iafsweep.config.sweep import SAMPLERS, SamplerMember
from iafsweep.errors import ConfigError, SweepError
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.optuna_study import frozen_trial
from iafsweep.sweep.storage.events import Known
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.state import TrialState
from iafsweep.sweep.storage.stored_sweep import StoredSweep, begin_with


def warm_start(space: SearchSpace, folder: SweepFolder, earlier: StoredSweep) -> tuple[int, int]:
    """Begin the ledger of a new sweep with the trials of an earlier one.

    The rows are copied, so that the new sweep depends only on its own folder. The sampler learns from them; they are
    not trials of the new sweep, and may be proposed again. The earlier sweep may be running. Its trials that completed
    after fewer epochs than the new sweep asks for are recorded as stopped there: their bounds are not final.

    Returns:
        How many of its ended trials fit ``space``, and how many ended in all.

    Raises:
        SweepError: the sampler does not learn, the earlier sweep is a population, the images are split differently,
            nothing fits, or the new sweep has begun.
    """
    learns = [kind for kind, each in SAMPLERS.members.items() if isinstance(each, SamplerMember) and each.learns]
    if space.sweep.sampler not in learns:
        raise SweepError(
            f"a warm start needs a sampler that learns from trials: sweep.sampler = {' or '.join(map(repr, learns))}; "
            f"'{space.sweep.sampler}' would ignore it"
        )
    source = earlier.folder
    if earlier.space.sweep.scheduler == "pbt":
        raise SweepError(
            f"{source.path} trained a population, whose members changed values during training, so no bound belongs to "
            f"a single configuration; use another sweep"
        )
    if _told_apart(earlier.space) != _told_apart(space):
        raise SweepError(
            f"{source.path} used other images or another split ([data] differs), so its bounds are not comparable"
        )
    ended = earlier.state.finished
    known = [row for trial in ended if (row := _known(space, trial, earlier)) is not None]
    if not known:
        raise SweepError(f"none of the {len(ended)} ended trials of {source.path} lies in this search space")
    folder.create()
    if folder.ledger.exists():
        raise SweepError(f"the sweep in {folder.path} has already started; a warm start needs a new one")
    with folder.lock():
        begin_with(space, folder, known)
    return len(known), len(ended)


def _told_apart(space: SearchSpace) -> dict[str, Any]:
    return identity(space.base.data, "configuration", within="data")


def _known(space: SearchSpace, trial: TrialState, earlier: StoredSweep) -> Known | None:
    end, values = trial.finished, trial.proposed.parameters
    if end is None or frozen_trial(space, values, end) is None:
        return None
    try:
        asked = space.config(values).training.epochs
    except ConfigError:
        return None
    told = end.model_dump(include={"status", "epochs", "value", "best_value", "seconds"})
    if end.status == "completed" and earlier.space.config(values).training.epochs < asked:
        told["status"] = "stopped"
    return Known(source=f"{earlier.folder.path.name}/{trial.trial}", parameters=values, **told)
