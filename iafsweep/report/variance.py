"""How much of the variance between all trials each searched parameter explains, by a random forest."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from iafsweep.records import EpochMetrics, LeaderboardRow
from iafsweep.report.contents import Shares
from iafsweep.search_space.distributions import Choice
from iafsweep.search_space.space import Parameter, SearchSpace
from iafsweep.texts import value_text

FEWEST_TRIALS = 10
"""With fewer trials, a forest explains nothing of trials that it has not seen."""
_TREES, _MOST_IN_A_TREE = 200, 2000
_ROOM, _WILD = 1.5, 3.0
"""If a bound is ``_WILD`` times as far from the best as nine tenths of the bounds, cut at ``_ROOM`` times as far."""


def explained_variance(
    space: SearchSpace, rows: Sequence[LeaderboardRow], metrics: Mapping[str, Sequence[EpochMetrics]]
) -> Shares:
    """Return the share of the variance over trials that each parameter explains, the largest first.

    A random forest (Breiman, Random forests, 2001) predicts the validation bound of every trial, whatever its status,
    at the last epoch that all of them have. The variance that it explains out of bag (on trials that a tree has not
    seen) is shared among the parameters by how much their splits lower it. Inactive counts as a value of its own.
    """
    bounds = _at_one_epoch(rows, metrics)
    if len(bounds) < FEWEST_TRIALS:
        count = f"{len(bounds)} trial{'' if len(bounds) == 1 else 's'} with a finite bound"
        return Shares.none(f"Too few trials: {count}; a random forest needs at least {FEWEST_TRIALS}.")
    epoch, known = min(len(metrics[row.trial]) for row, _ in bounds), [row for row, _ in bounds]
    limit = _not_wild([bound for _, bound in bounds])
    target = np.array([min(bound, limit) for _, bound in bounds])
    columns = {each.path: _columns(each, known) for each in space.parameters}
    columns = {path: found for path, found in columns.items() if np.ptp(found, axis=0).any()}
    if not columns or not np.ptp(target):
        return Shares.none("All trials have the same bound, or the same value of every searched parameter.")
    shares, explained = _shares(columns, target)
    bars = tuple((path, round(shares[path], 4)) for path in sorted(shares, key=lambda p: -shares[p]))
    note = (
        f"How much of the variance of the bounds of all {len(known):,} trials at epoch {epoch:,} each parameter "
        f"explains (random forest; {explained:.0%} together, out of bag). Stopped and broken trials are included; "
        f"bounds above {limit:.0f} count as {limit:.0f}. Explained variance shows what makes a trial good or bad at "
        "all; importance shows what separates the best trials from the rest."
    )
    return Shares(bars=bars, note=note, empty="")


def _not_wild(bounds: Sequence[float]) -> float:
    """Return the cut for bounds: the largest one, or, if that is an outlier, a little above nine tenths of them."""
    known = sorted(bounds)
    low, high = known[0], known[-1]
    bulk = known[min(math.ceil(0.9 * len(known)) - 1, len(known) - 2)]
    if bulk > low and high - low > _WILD * (bulk - low):
        return low + _ROOM * (bulk - low)
    return high


def _at_one_epoch(
    rows: Sequence[LeaderboardRow], metrics: Mapping[str, Sequence[EpochMetrics]]
) -> list[tuple[LeaderboardRow, float]]:
    """Return the bounds of the begun trials at the last epoch that all of them have, without those not finite."""
    begun = [row for row in rows if metrics.get(row.trial)]
    last = min((len(metrics[row.trial]) for row in begun), default=0)
    found = [(row, metrics[row.trial][last - 1].validation_negative_elbo) for row in begun]
    return [(row, bound) for row, bound in found if bound is not None and math.isfinite(bound)]


def _columns(parameter: Parameter, rows: Sequence[LeaderboardRow]) -> NDArray[np.float64]:
    """Return a parameter's features, [trials, columns]: a column per option, or the value; inactive is far from all."""
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
    """Return the share of the variance that each parameter explains, and that of all together."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        _TREES, min_samples_leaf=2, oob_score=True, random_state=0, max_samples=min(len(target), _MOST_IN_A_TREE)
    )
    forest.fit(np.hstack(list(columns.values())), target)
    explained = max(0.0, float(forest.oob_score_))
    ends = np.cumsum([each.shape[1] for each in columns.values()])[:-1]
    parts = np.split(forest.feature_importances_, ends)
    return {path: explained * float(part.sum()) for path, part in zip(columns, parts, strict=True)}, explained
