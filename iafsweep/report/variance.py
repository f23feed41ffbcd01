"""How much of the differences between all trials each searched parameter explains, by a random forest."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from iafsweep.records import EpochMetrics, LeaderboardRow
from iafsweep.report.contents import Shares
from iafsweep.search_space.distributions import Choice
from iafsweep.search_space.space import Parameter, SearchSpace
from iafsweep.texts import value_text

FEWEST_TRIALS = 10
"""With fewer trials a forest explains nothing that it was not told."""
_TREES, _MOST_IN_A_TREE = 200, 2000
_ROOM, _WILD = 1.5, 3.0
"""A bound is wild when it is so many times farther from the best than nine tenths of the bounds are."""


def explained_variance(
    space: SearchSpace, rows: Sequence[LeaderboardRow], metrics: Mapping[str, Sequence[EpochMetrics]]
) -> Shares:
    """Return the share of the variance over trials that each parameter explains, the largest first.

    A random forest (Breiman, Random forests, 2001) predicts the validation bound of every trial, whatever became of
    it, at the last epoch that all of them have. What it explains of trials that a tree has not seen (out of bag) is
    shared out by how much the splits on each parameter lower the variance. An inactive parameter is a value of its own.
    """
    bounds = _at_one_epoch(rows, metrics)
    if len(bounds) < FEWEST_TRIALS:
        count = f"{len(bounds)} trial{'' if len(bounds) == 1 else 's'} with a finite bound"
        return Shares.none(f"Too few trials: {count}, a forest needs at least {FEWEST_TRIALS}.")
    epoch, known = min(len(metrics[row.trial]) for row, _ in bounds), [row for row, _ in bounds]
    limit = _not_wild([bound for _, bound in bounds])
    target = np.array([min(bound, limit) for _, bound in bounds])
    columns = {each.path: _columns(each, known) for each in space.parameters}
    columns = {path: found for path, found in columns.items() if np.ptp(found, axis=0).any()}
    if not columns or not np.ptp(target):
        return Shares.none("No searched parameter, or no bound, has more than one value among the trials.")
    shares, explained = _shares(columns, target)
    bars = tuple((path, round(shares[path], 4)) for path in sorted(shares, key=lambda p: -shares[p]))
    note = (
        f"How much of the variance between all {len(known):,} trials each parameter explains, by their bounds at epoch "
        f"{epoch:,} (a random forest; together {explained:.0%}, out of bag). Stopped and broken trials count; bounds "
        f"above {limit:.0f} count as that. Here stands what makes a trial good or bad at all; the figure beside it "
        "says what tells the best from the rest."
    )
    return Shares(bars=bars, note=note, empty="")


def _not_wild(bounds: Sequence[float]) -> float:
    """Up to where bounds tell trials apart: the largest, or, if that is wild, a little above nine tenths of them."""
    known = sorted(bounds)
    low, high = known[0], known[-1]
    bulk = known[min(math.ceil(0.9 * len(known)) - 1, len(known) - 2)]
    if bulk > low and high - low > _WILD * (bulk - low):
        return low + _ROOM * (bulk - low)
    return high


def _at_one_epoch(
    rows: Sequence[LeaderboardRow], metrics: Mapping[str, Sequence[EpochMetrics]]
) -> list[tuple[LeaderboardRow, float]]:
    """The bound of every trial with an epoch at the last one that all of these have; those not finite left out."""
    begun = [row for row in rows if metrics.get(row.trial)]
    last = min((len(metrics[row.trial]) for row in begun), default=0)
    found = [(row, metrics[row.trial][last - 1].validation_negative_elbo) for row in begun]
    return [(row, bound) for row, bound in found if bound is not None and math.isfinite(bound)]


def _columns(parameter: Parameter, rows: Sequence[LeaderboardRow]) -> NDArray[np.float64]:
    """What a tree may split on, [trials, columns]: a column an option, or the value; inactive is apart from all."""
    values = [row.parameters.get(parameter.path) for row in rows]
    if isinstance(parameter.range, Choice):
        texts = [value_text(value) for value in values]
        options = sorted(set(texts))
        return np.array([[text == option for option in options] for text in texts], dtype=float)
    numbers = [math.nan if value is None or isinstance(value, str) else float(value) for value in values]
    active = [number for number in numbers if math.isfinite(number)]
    apart = min(active, default=0.0) - 1.0 - (max(active, default=0.0) - min(active, default=0.0))
    return np.array([[number if math.isfinite(number) else apart] for number in numbers])


def _shares(columns: Mapping[str, NDArray[np.float64]], target: NDArray[np.float64]) -> tuple[dict[str, float], float]:
    """The share of the variance that each parameter explains, and that of all together."""
    forest = RandomForestRegressor(
        _TREES, min_samples_leaf=2, oob_score=True, random_state=0, max_samples=min(len(target), _MOST_IN_A_TREE)
    )
    forest.fit(np.hstack(list(columns.values())), target)
    explained = max(0.0, float(forest.oob_score_))
    ends = np.cumsum([each.shape[1] for each in columns.values()])[:-1]
    parts = np.split(forest.feature_importances_, ends)
    return {path: explained * float(part.sum()) for path, part in zip(columns, parts, strict=True)}, explained
