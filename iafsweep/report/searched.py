"""The searched parameters against the bound: slices, parallel coordinates, and the bound against its cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from iafsweep.records import LeaderboardRow
from iafsweep.report.figure import Axis, Line, Parallel, Point, Points
from iafsweep.report.private import shareable
from iafsweep.report.scales import bounded, linear, logarithmic, of_range, position, spread
from iafsweep.search_space.space import Parameter, SearchSpace
from iafsweep.texts import short_name

_BOUND = "validation −ELBO (nats per image)"
_GOLDEN = 0.6180339887498949
NO_BOUND = "No trial has a finite validation bound, so there is nothing to compare."


def with_bound(rows: Sequence[LeaderboardRow]) -> list[tuple[LeaderboardRow, float]]:
    """Return the trials with a finite validation bound, and that bound."""
    return [
        (row, bound) for row in rows if (bound := row.validation_negative_elbo) is not None and math.isfinite(bound)
    ]


def bound_axis(known: Sequence[tuple[LeaderboardRow, float]]) -> tuple[Axis, str]:
    """Return the axis of the bound, made for completed trials, and a sentence on trials above it, if there are any."""
    completed = [bound for row, bound in known if row.status == "completed"]
    axis, above = bounded(_BOUND, [bound for _, bound in known], completed)
    return axis, f"{above:,} trials above the axis are drawn at its end." if above else ""


def slices(space: SearchSpace, rows: Sequence[LeaderboardRow]) -> list[Points]:
    """Return a figure a searched parameter: its value against the best bound of every trial in which it was active."""
    known = with_bound(rows)
    axis, _ = bound_axis(known)
    return [_slice(parameter, axis, known, names(space)[parameter.path]) for parameter in space.parameters]


def _slice(parameter: Parameter, vertical: Axis, known: Sequence[tuple[LeaderboardRow, float]], name: str) -> Points:
    points = []
    for number, (row, bound) in enumerate(known):
        x = position(parameter.range, row.parameters.get(parameter.path))
        if x is not None:
            # Marks of one value are spread, or they would hide each other; the golden ratio spreads any number well.
            aside = spread(parameter.range) * ((number * _GOLDEN) % 1 - 0.5)
            points.append(Point(trial=row.trial, x=_short(x + aside), y=_short(min(bound, vertical.high))))
    inactive = len(known) - len(points)
    note = f"Inactive in {inactive:,} of {len(known):,} trials." if inactive else ""
    empty = "" if points else ("It was active in no trial with a bound." if known else NO_BOUND)
    return Points(
        name=f"slice-{shareable(parameter.path)}",
        title=shareable(name),
        note=note,
        empty=empty,
        x=of_range(shareable(parameter.path), parameter.range),
        y=vertical,
        points=tuple(points),
    )


def parallel(space: SearchSpace, rows: Sequence[LeaderboardRow]) -> Parallel:
    """Return every trial with a bound as a line over all searched parameters to its bound."""
    known = with_bound(rows)
    axis, cut = bound_axis(known)
    short = names(space)
    axes = [of_range(shareable(short[each.path]), each.range) for each in space.parameters]
    best_first = sorted(known, key=lambda pair: pair[1])
    lines = []
    for place, (row, bound) in enumerate(best_first):
        at = [position(each.range, row.parameters.get(each.path)) for each in space.parameters]
        rank = place / max(len(best_first) - 1, 1)
        values = tuple(None if value is None else _short(value) for value in at)
        lines.append(Line(trial=row.trial, at=(*values, _short(min(bound, axis.high))), rank=round(rank, 4)))
    note = (
        "A line a trial, from its parameters to its best bound; the best stand out. “off”: the parameter was inactive."
    )
    return Parallel(
        name="parallel",
        title="All parameters at once",
        note=f"{note} {cut}".strip(),
        empty="" if lines else NO_BOUND,
        axes=(*axes, axis.model_copy(update={"label": "bound"})),
        lines=tuple(lines),
    )


def bound_against_cost(rows: Sequence[LeaderboardRow]) -> Points:
    """Return the bound against the seconds of an epoch; the front is the leaderboard's."""
    known = [(row, bound) for row, bound in with_bound(rows) if row.seconds_per_epoch]
    axis, cut = bound_axis(known)
    costs = [row.seconds_per_epoch or 0.0 for row, _ in known]
    points = [
        Point(trial=row.trial, x=_short(cost), y=_short(min(bound, axis.high)))
        for (row, bound), cost in zip(known, costs, strict=True)
    ]
    front = sorted((cost, row.trial) for (row, _), cost in zip(known, costs, strict=True) if row.pareto)
    note = (
        "On the front no completed trial has both a lower bound and faster epochs. Seconds are medians by the wall "
        "clock, beside whatever else ran."
    )
    return Points(
        name="cost",
        title="Bound against cost",
        note=f"{note} {cut}".strip(),
        empty="" if points else "No trial has ended with a finite bound yet, so there is no cost to compare.",
        x=logarithmic("seconds per epoch", costs) if costs else linear("seconds per epoch", []),
        y=axis,
        points=tuple(points),
        front=tuple(trial for _, trial in front),
    )


def names(space: SearchSpace) -> dict[str, str]:
    """Return the shortest name of each searched parameter, by its path."""
    paths = [parameter.path for parameter in space.parameters]
    return {path: short_name(path, paths) for path in paths}


def _short(value: float) -> float:
    """``value`` with as many digits as a drawing can show."""
    return float(f"{value:.6g}")
