"""What each sampler and scheduler would find in a space, and at what cost, from the curves of an earlier sweep."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from iafsweep.api.settings import with_sweep
from iafsweep.api.spaces import SearchSpace
from iafsweep.errors import UserError
from iafsweep.rehearsal.clock import Faults
from iafsweep.rehearsal.comparison import CLOSE, Search, check_searches, search
from iafsweep.rehearsal.curves import check_curves, read_curves
from iafsweep.rehearsal.surrogate import Error, Surrogate
from iafsweep.search_space.files import load_space
from iafsweep.search_space.space import SearchSpace as CheckedSpace
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep

DEFAULT_SAMPLERS = ("random", "auto")
DEFAULT_SCHEDULERS = ("none", "asha")


@dataclass(frozen=True)
class Rehearsed:
    """The results of a rehearsal.

    Attributes:
        searches: one for each sampler with each scheduler.
        best: the lowest bound that can be found, averaged over seeds, nats per image.
        recorded: the lowest bound of a trial of the earlier sweep, nats per image.
        error: the error of the simulated curves, on which all results rest.
        curves: number of trials whose recorded curves were used.
        workers: number of trials that train at the same time.
        trials: trials per sweep.
    """

    searches: tuple[Search, ...]
    best: float
    recorded: float
    error: Error
    curves: int
    workers: int
    trials: int

    @property
    def table(self) -> pd.DataFrame:
        """One row per sampler and scheduler; hours to within x nats of the best are missing if half never get there."""
        rows = [
            {
                "sampler": each.sampler,
                "scheduler": each.scheduler,
                "bound": each.spread(0.5),
                "bound_10": each.spread(0.1),
                "bound_90": each.spread(0.9),
                "hours": pd.Series(each.hours).median(),
                "epochs": pd.Series(each.epochs).median(),
                **{f"worker_hours_to_{nats:g}": _or_missing(each.hours_to(self.best + nats)) for nats in CLOSE},
            }
            for each in self.searches
        ]
        return pd.DataFrame(rows)


def rehearse(
    space: SearchSpace | str | Path,
    curves: str | Path,
    *,
    workers: int = 8,
    samplers: Sequence[str] = DEFAULT_SAMPLERS,
    schedulers: Sequence[str] = DEFAULT_SCHEDULERS,
    seeds: int = 5,
    trials: int | None = None,
    faults: Faults | None = None,
) -> Rehearsed:
    """Simulate sweeps of a space on the learning curves of an earlier sweep, as ``run_sweep.py rehearse`` does.

    Nothing is trained; the clock is simulated.

    Args:
        space: the space to search: a :class:`SearchSpace`, the name of a shipped space, or a file.
        curves: folder of an earlier sweep over the same parameters, whose curves predict those of other trials.
        workers: number of trials that train at the same time.
        samplers: values of ``sweep.sampler`` to compare.
        schedulers: values of ``sweep.scheduler`` to compare, each with each sampler.
        seeds: number of simulated sweeps per sampler and scheduler.
        trials: trials per sweep; None: as many as the space says.
        faults: the faults to simulate; None: none.

    Raises:
        SweepError: the curves are too few or do not cover the space, or a sampler or scheduler cannot be rehearsed.
        UserError: an argument or the space breaks a rule.

    Example:
        >>> import iafsweep
        >>> found = iafsweep.rehearse("runs/older/mine-1/sweep.toml", "runs/older/mine-1", seeds=2)
        >>> list(found.table.columns[:3])
        ['sampler', 'scheduler', 'bound']
    """
    checked = space.checked if isinstance(space, SearchSpace) else load_space(space)
    return rehearsed(checked, Path(curves), workers, samplers, schedulers, seeds, trials, faults)


def rehearsed(
    space: CheckedSpace,
    folder: Path,
    workers: int,
    samplers: Sequence[str],
    schedulers: Sequence[str],
    seeds: int,
    trials: int | None = None,
    faults: Faults | None = None,
    heard: Callable[[str], None] = lambda _: None,
) -> Rehearsed:
    """Do as :func:`rehearse` with a checked space; ``heard`` is called with what is being rehearsed."""
    if min(workers, seeds) < 1 or not samplers or not schedulers:
        raise UserError("a rehearsal needs at least one worker, seed, sampler and scheduler")
    earlier = read_sweep(SweepFolder(folder.expanduser()))
    if not space.base.data.is_known:  # your own images, which are not needed here
        space = replace(space, base=space.base.model_copy(update={"data": earlier.space.base.data}))
    pairs = [(sampler, scheduler) for sampler in samplers for scheduler in schedulers]
    spaces = [
        with_sweep(space, {"sampler": sampler, "scheduler": scheduler, "trials": trials})
        for sampler, scheduler in pairs
    ]
    check_searches(spaces)
    curves = read_curves(earlier)
    check_curves(space, earlier.space, curves, str(folder))
    heard(f"curves of {len(curves)} trials")
    surrogate = Surrogate(space, curves)
    found = []
    for each in spaces:
        heard(f"{each.sweep.sampler} with {each.sweep.scheduler}")
        found.append(search(each, surrogate, workers, range(1, seeds + 1), faults))
    best = min([surrogate.best(space), *(min(each.bounds) for each in found)])
    recorded = surrogate.lowest_recorded
    return Rehearsed(tuple(found), best, recorded, surrogate.error, len(curves), workers, spaces[0].sweep.trials)


def _or_missing(hours: float) -> float:
    return hours if math.isfinite(hours) else math.nan
