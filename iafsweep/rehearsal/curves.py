"""Learning curves of trained trials: every epoch's bound and seconds."""

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
from iafsweep.texts import counted

FEWEST = 12
"""Fewest completed trials; with fewer of them a surrogate is a guess."""


@dataclass(frozen=True)
class Curve:
    """The learning curve of one training.

    Attributes:
        values: the searched values that were active.
        bounds: validation bound after each epoch that has one, nats per image.
        seconds: seconds of each epoch; recorded curves leave out an epoch in which training failed.
        status: how the training ended; a stopped one has fewer bounds than the epochs requested.
    """

    values: Mapping[str, Scalar]
    bounds: tuple[float, ...]
    seconds: tuple[float, ...]
    status: EndStatus


def read_curves(sweep: StoredSweep) -> list[Curve]:
    """Return the curves of a sweep's ended trials, except those that failed or whose metrics are gone.

    Raises:
        SweepError: the sweep trained a population, whose members change their values along the curve.
    """
    if sweep.space.sweep.scheduler == "pbt":
        raise SweepError(
            f"{sweep.folder.path} trained a population, whose members changed values during training, so no curve "
            f"belongs to a single configuration; use another sweep"
        )
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
    """Refuse curves that say nothing about ``space``; ``recorded`` is the space they come from, ``origin`` its name.

    Raises:
        SweepError: other parameters, values outside the recorded ranges, other fixed values, or too few curves.
    """
    mine, theirs = ({parameter.path: parameter.range for parameter in each.parameters} for each in (space, recorded))
    if unlike := mine.keys() ^ theirs.keys():
        path = next(each for each in (*mine, *theirs) if each in unlike)
        where = f"here but not in {origin}" if path in mine else f"in {origin} but not here"
        raise SweepError(
            f"{path} is searched {where}, so the recorded curves do not apply; rehearse a space with the same "
            f"parameters"
        )
    if "training.epochs" in mine:
        raise SweepError("training.epochs is searched, but trainings of different lengths cannot be rehearsed")
    for path, among in mine.items():
        if strange := [value for value in among.extremes if not _is_among(value, theirs[path])]:
            raise SweepError(
                f"{path} = {strange[0]} was not searched in {origin}, where it is {theirs[path]}; narrow the range"
            )
    if field := _unlike_field(space, recorded, origin):
        raise SweepError(f"{field}, so the recorded curves do not apply; use the same value")
    whole = sum(curve.status == "completed" for curve in curves)
    if whole < FEWEST:
        more = sweep_command("extend", origin, "--trials", f"+{FEWEST}")
        raise SweepError(
            f"{origin} has {counted(whole, 'completed trial')} with metrics, but a rehearsal needs at least {FEWEST}; "
            f"train more, for example: {more}"
        )


def _is_among(value: Scalar, among: Range) -> bool:
    if isinstance(among, Choice):
        return value in among.options
    return isinstance(value, int | float) and among.low <= value <= among.high


def _unlike_field(space: SearchSpace, recorded: SearchSpace, origin: str) -> str:
    """Say which field that bounds depend on differs for the same searched values; empty if none does."""
    generator = random.Random(0)
    for _ in range(20):
        values = space.suggest(RandomSuggest(generator))
        try:
            mine, theirs = (dict(flattened(relevant_values(each.config(values)))) for each in (space, recorded))
        except ConfigError:  # a combination that the space excludes
            continue
        for path in (*mine, *theirs):
            if mine.get(path) != theirs.get(path):
                return f"{path} is {mine.get(path, 'unset')} here but {theirs.get(path, 'unset')} in {origin}"
    return ""
