"""How values are proposed: the protocol that every sampler follows, and a plain random sampler."""

import math
import random
from collections.abc import Sequence
from typing import Protocol

from iafsweep.search_space.distributions import Scalar


class Suggest(Protocol):
    """A source of values, asked for one parameter after the other (define by run).

    An Optuna trial fits with one line per method. :class:`RandomSuggest` draws at random.
    """

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        """Return one of ``options`` for the parameter ``name``."""

    def integer(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Return one of low, low + step, ..., high."""

    def real(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        """Return a number from low to high; with a step, one of low, low + step, ..., high."""


class RandomSuggest:
    """Independent draws, uniform in the value or, with ``log``, in its logarithm."""

    def __init__(self, generator: random.Random) -> None:
        self._generator = generator

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        """Return one of ``options``, each with the same probability."""
        return self._generator.choice(options)

    def integer(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Return one of low, low + step, ..., high."""
        if not log:
            return self._generator.randrange(low, high + 1, step)
        # Half a unit beyond both ends, so that the ends get their share of the rounding.
        exponent = self._generator.uniform(math.log(low - 0.5), math.log(high + 0.5))
        return min(max(round(math.exp(exponent)), low), high)

    def real(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        """Return a number from low to high; with a step, one of low, low + step, ..., high."""
        if step is not None:
            return low + step * self._generator.randrange(round((high - low) / step) + 1)
        if not log:
            return self._generator.uniform(low, high)
        return min(max(math.exp(self._generator.uniform(math.log(low), math.log(high))), low), high)
