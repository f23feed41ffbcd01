"""Estimated final bounds of trials that did not complete, for samplers that learn only from completed ones."""

import math
from collections.abc import Iterable
from statistics import median

from iafsweep.sweep.storage.events import Finished, Known, Rung
from iafsweep.sweep.storage.state import LedgerState

End = Finished | Known


def estimated_ends(state: LedgerState) -> dict[str, End]:
    """Return the ends of all trials that ended, by name (known ones by their source), each as if it had completed.

    A stopped trial's estimate is its bound at the last epoch e at which completed trials have a rung, less what these
    gained from there on::

        estimate = bound(e) - median over completed trials (bound(e) - best bound),  but >= the best completed one

    so that trials stopped early are ranked among the others, but never above the best completed one. If nothing
    indicates how a trial would have ended (diverged, out of memory, failed, or no such rung), it gets the worst bound
    of all the others and the longest time per epoch. Empty until a trial has completed.
    """
    ends: dict[str, End] = {row.source: row for row in state.known}
    rungs: dict[str, tuple[Rung, ...]] = {}
    for trial in state.finished:
        assert trial.finished is not None
        ends[trial.trial], rungs[trial.trial] = trial.finished, trial.rungs
    bounds = {name: end.best_value for name, end in ends.items() if end.status == "completed"}
    figures = {name: bound for name, bound in bounds.items() if bound is not None and math.isfinite(bound)}
    if not figures:
        return {}
    best, gains = min(figures.values()), _gains(figures, rungs)
    for name, end in ends.items():
        if end.status == "stopped" and (found := _estimate(end, rungs.get(name, ()), gains)) is not None:
            figures[name] = max(found, best)
    worst = {"best_value": max(figures.values()), "seconds": max(map(_seconds, ends.values())), "epochs": 1}
    return {
        name: end.model_copy(
            update={"status": "completed"} | ({"best_value": figures[name]} if name in figures else worst)
        )
        for name, end in ends.items()
    }


def _gains(figures: dict[str, float], rungs: dict[str, tuple[Rung, ...]]) -> dict[int, float]:
    """Return the median fall of completed trials' bounds from each rung to their best."""
    gains: dict[int, list[float]] = {}
    for name, best in figures.items():
        for epoch, value in _points(rungs.get(name, ())):
            gains.setdefault(epoch, []).append(value - best)
    return {epoch: median(found) for epoch, found in gains.items()}


def _estimate(end: End, rungs: Iterable[Rung], gains: dict[int, float]) -> float | None:
    points = dict(_points(rungs))
    if end.value is not None and math.isfinite(end.value):
        points[end.epochs] = end.value
    epoch = max(points.keys() & gains.keys(), default=None)
    return None if epoch is None else points[epoch] - gains[epoch]


def _points(rungs: Iterable[Rung]) -> Iterable[tuple[int, float]]:
    return ((rung.epoch, rung.value) for rung in rungs if math.isfinite(rung.value))


def _seconds(end: End) -> float:
    return end.seconds / max(end.epochs, 1)
