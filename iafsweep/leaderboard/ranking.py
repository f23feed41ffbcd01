"""The order of the leaderboard: completed trials by validation bound, then the others."""

import math
import re
from collections import Counter
from collections.abc import Iterable

from iafsweep.leaderboard.winners_curse import winners_curse
from iafsweep.records import LeaderboardRow, TrialStatus

_ORDER: tuple[TrialStatus, ...] = (
    "completed", "running", "pending", "interrupted", "stopped", "diverged", "oom", "failed",
)  # fmt: skip


def ranked(rows: Iterable[LeaderboardRow]) -> tuple[LeaderboardRow, ...]:
    """Return the rows in order, with ranks.

    Completed trials with a finite validation bound come first, smallest bound first, and get the ranks 1, 2, ...; equal
    bounds are ordered by trial. The other trials follow without a rank: first those with a finite bound, by bound
    whatever their status, so that a broken trial is never above a better one; then those without, by status and trial.
    Test figures and the order of ``rows`` play no part.

    Raises:
        ValueError: two rows are of the same trial, or rows are of different data.
    """
    rows = list(rows)
    if len(unlike := sorted({row.data for row in rows if row.data is not None})) > 1:
        raise ValueError(
            f"a leaderboard ranks figures of the same images, split and levels, but these are of: {'; '.join(unlike)}; "
            f"make one leaderboard for each"
        )
    ordered = sorted(rows, key=_position)
    for trial, count in Counter(row.trial for row in ordered).items():
        if count > 1:
            raise ValueError(f"a leaderboard has one row per trial, got {count} of {trial!r}")
    front = pareto_front(ordered)
    curse = winners_curse(row for row in ordered if _has_rank(row))
    expected, probabilities = ({}, {}) if curse is None else (curse.expected, curse.probabilities)
    return tuple(
        row.model_copy(
            update={
                "rank": number if _has_rank(row) else None,
                "pareto": row.trial in front if _has_rank(row) else None,
                "expected_negative_elbo": expected.get(row.trial),
                "best_probability": probabilities.get(row.trial),
            }
        )
        for number, row in enumerate(ordered, 1)
    )


def pareto_front(rows: Iterable[LeaderboardRow]) -> frozenset[str]:
    """Return the completed trials that no other beats in bound or seconds per epoch without losing in the other."""
    points = [(_bound(row), row.seconds_per_epoch, row.trial) for row in rows if _has_rank(row)]
    front, cheapest, last = set(), math.inf, (math.nan, math.nan)
    for bound, cost, trial in sorted((bound, cost, trial) for bound, cost, trial in points if cost is not None):
        if cost < cheapest or (bound, cost) == last:
            front.add(trial)
            cheapest, last = cost, (bound, cost)
    return frozenset(front)


def best_row(rows: Iterable[LeaderboardRow]) -> LeaderboardRow | None:
    """Return the row of rank 1, or None if no trial has completed with a finite validation bound."""
    return next((row for row in ranked(rows) if row.rank == 1), None)


def _bound(row: LeaderboardRow) -> float:
    """Return the validation bound, or infinity if it is missing or not finite."""
    bound = row.validation_negative_elbo
    return math.inf if bound is None or not math.isfinite(bound) else bound


def _has_rank(row: LeaderboardRow) -> bool:
    return row.status == "completed" and _bound(row) < math.inf


def _position(row: LeaderboardRow) -> tuple[bool, float, int, tuple[tuple[bool, int, str], ...]]:
    return not _has_rank(row), _bound(row), _ORDER.index(row.status), _natural(row.trial)


def _natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a key that sorts ``t9`` before ``t10``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple((part[0].isdecimal(), int(part) if part[0].isdecimal() else 0, part) for part in parts)
