"""Curves of trials that were trained: every epoch's bound and seconds."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iafsweep.config.meaning import flattened
from iafsweep.errors import ConfigError, RunFolderError, SweepError
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.candidate import relevant_values
from iafsweep.search_space.distributions import Choice, Range, Scalar
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.shown_command import sweep_command
from iafsweep.sweep.storage.events import EndStatus
from iafsweep.sweep.storage.state import TrialState
from iafsweep.sweep.storage.stored_sweep import StoredSweep

FEWEST = 12
"""Trainings that came to their last epoch: with fewer of them a surrogate is a guess."""


@dataclass(frozen=True)
class Curve:
    """One training.

    Attributes:
        values: the searched values that were active.
        bounds: validation bound after each epoch, nats per image; as many as there are.
        seconds: of each epoch, one that ended it not counted.
        status: how it ended; one that was stopped has fewer bounds than epochs were asked for.
    """

    values: Mapping[str, Scalar]
    bounds: tuple[float, ...]
    seconds: tuple[float, ...]
    status: EndStatus


def read_curves(sweep: StoredSweep) -> list[Curve]:
    """Return the curves of a sweep's trials that ended; those that failed, or whose metrics are gone, are left out.

    Raises:
        SweepError: it is a population, whose curves are of values that change.
    """
    if sweep.space.sweep.scheduler == "pbt":
        raise SweepError(f"{sweep.folder.path} is a population: its curves are of values that change as they go")
    found = (_curve(sweep, trial) for trial in sweep.state.finished)
    return [curve for curve in found if curve is not None]


def _curve(sweep: StoredSweep, trial: TrialState) -> Curve | None:
    end = trial.finished
    if end is None or end.status == "failed":
        return None
    try:
        rows = metrics_file.read(RunFolder(sweep.folder.trial(trial.trial)).metrics)
    except RunFolderError:
        return None
    bounds = tuple(row.validation_negative_elbo for row in rows if row.validation_negative_elbo is not None)
    seconds = tuple(row.seconds for row in rows)
    return Curve(trial.proposed.parameters, bounds[: end.epochs], seconds[: end.epochs], end.status)


def check_curves(space: SearchSpace, recorded: SearchSpace, curves: Sequence[Curve], origin: str) -> None:
    """Refuse curves that say nothing of ``space``; ``recorded`` is the space they are of, ``origin`` its name.

    Raises:
        SweepError: other parameters, values outside what was recorded, other fixed values, or too few curves.
    """
    mine, theirs = ({parameter.path: parameter.range for parameter in each.parameters} for each in (space, recorded))
    if unlike := mine.keys() ^ theirs.keys():
        path = next(each for each in (*mine, *theirs) if each in unlike)
        raise SweepError(
            f"{path} is searched {'here and not' if path in mine else 'not here but'} in {origin}; its curves say "
            f"nothing of that: rehearse a space with the same parameters"
        )
    if "training.epochs" in mine:
        raise SweepError("training.epochs is searched: trainings of unlike lengths cannot be rehearsed")
    for path, among in mine.items():
        if strange := [value for value in among.extremes if not _is_among(value, theirs[path])]:
            raise SweepError(
                f"{path} = {strange[0]} was not searched in {origin}, but {theirs[path]}; narrow the range"
            )
    if field := _unlike_field(space, recorded):
        raise SweepError(f"{field}; its curves say nothing of that: take the same value")
    whole = sum(curve.status == "completed" for curve in curves)
    if whole < FEWEST:
        more = sweep_command("extend", origin, "--trials", f"+{FEWEST}")
        raise SweepError(
            f"{origin} has {whole} completed trials with their metrics; a rehearsal needs {FEWEST} at least: train "
            f"more, as with {more}"
        )


def _is_among(value: Scalar, among: Range) -> bool:
    if isinstance(among, Choice):
        return value in among.options
    return isinstance(value, int | float) and among.low <= value <= among.high


def _unlike_field(space: SearchSpace, recorded: SearchSpace) -> str:
    """Say which field has another value for the same searched values, of those that bounds depend on."""
    generator = random.Random(0)
    for _ in range(20):
        values = space.suggest(RandomSuggest(generator))
        try:
            mine, theirs = (dict(flattened(relevant_values(each.config(values)))) for each in (space, recorded))
        except ConfigError:  # a combination that the space leaves out
            continue
        for path in (*mine, *theirs):
            if mine.get(path) != theirs.get(path):
                return f"{path} is {mine.get(path, 'unset')} here and {theirs.get(path, 'unset')} there"
    return ""
