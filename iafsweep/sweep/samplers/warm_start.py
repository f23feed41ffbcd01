"""What an earlier sweep found, told to the sampler of a new one."""

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
    """Begin the ledger of a new sweep with what an earlier one found.

    Its rows are copied, so that the new sweep depends on its own folder alone. They are told to the sampler, are no
    trials of the new sweep, and may be proposed again. The earlier sweep may be running. Its trials that had completed
    after fewer epochs than the new sweep asks for are known as stopped there: their bounds are no final ones.

    Returns:
        How many of its trials fit ``space``, and how many there are that ended.

    Raises:
        SweepError: the sampler does not learn, the images are split differently, nothing fits, or the new sweep has
            begun.
    """
    learns = [kind for kind, each in SAMPLERS.members.items() if isinstance(each, SamplerMember) and each.learns]
    if space.sweep.sampler not in learns:
        raise SweepError(
            f"a warm start needs a sampler that learns, sweep.sampler = {' or '.join(map(repr, learns))}; "
            f"'{space.sweep.sampler}' takes no notice of it"
        )
    source = earlier.folder
    if earlier.space.sweep.scheduler == "pbt":
        raise SweepError(f"{source.path} is a population: its bounds belong to schedules of values, not to values")
    if _told_apart(earlier.space) != _told_apart(space):
        raise SweepError(
            f"{source.path} has other images or another split ([data] differs), so its bounds cannot be compared"
        )
    ended = earlier.state.finished
    known = [row for trial in ended if (row := _known(space, trial, earlier)) is not None]
    if not known:
        raise SweepError(f"none of the {len(ended)} trials of {source.path} that ended lies in this search space")
    folder.create()
    if folder.ledger.exists():
        raise SweepError(f"{folder.path} has begun; a warm start is for a new sweep")
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
