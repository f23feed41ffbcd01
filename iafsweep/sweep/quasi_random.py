"""Quasi-random proposals: a scrambled Sobol sequence over the unit cube, a coordinate a parameter."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from torch.quasirandom import SobolEngine

from iafsweep.sweep.ranges import Scalar


class PointSuggest:
    """Values from one point of the unit cube, by the inverse of each parameter's distribution function.

    Args:
        point: a number in [0, 1) for each parameter's name.
    """

    def __init__(self, point: Mapping[str, float]) -> None:
        self._point = point

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        """Return one of ``options``, each over an interval of the same length."""
        return options[self._index(name, len(options))]

    def integer(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Return one of low, low + step, ..., high."""
        if not log:
            return low + step * self._index(name, (high - low) // step + 1)
        # Half a unit beyond both ends, so that the ends get their share of the rounding.
        return min(max(round(self._exponential(name, low - 0.5, high + 0.5)), low), high)

    def real(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        """Return a number from low to high; with a step one of low, low + step, ..., high."""
        if step is not None:
            return low + step * self._index(name, round((high - low) / step) + 1)
        if log:
            return min(max(self._exponential(name, low, high), low), high)
        return low + (high - low) * self._point[name]

    def _index(self, name: str, count: int) -> int:
        return min(int(self._point[name] * count), count - 1)

    def _exponential(self, name: str, low: float, high: float) -> float:
        return math.exp(math.log(low) + (math.log(high) - math.log(low)) * self._point[name])


def sobol_points(names: Sequence[str], seed: int) -> Iterator[PointSuggest]:
    """Yield the points of a scrambled Sobol sequence (Owen 1998), a coordinate for each of ``names``."""
    engine = SobolEngine(len(names), scramble=True, seed=seed)
    while True:
        yield PointSuggest(dict(zip(names, engine.draw(1)[0].tolist(), strict=True)))
