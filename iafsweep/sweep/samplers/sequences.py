"""Samplers with a sequence fixed in advance: random, quasi-random (Sobol), grid, and listed configurations."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence

from torch.quasirandom import SobolEngine

from iafsweep.search_space.candidate import Candidate, candidate, short_seed
from iafsweep.search_space.distributions import Choice, IntRange, Range, Scalar
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import Proposer, is_walkable
from iafsweep.sweep.storage.state import LedgerState


def drawn_then_left(space: SearchSpace, drawn: Iterator[dict[str, Scalar]]) -> Iterator[Candidate]:
    """Yield configurations as they are drawn and, once drawing finds nothing new, the rest of a finite space."""
    yield from distinct(space, drawn, space.procedure.duplicates)
    yield from left(space)


def left(space: SearchSpace) -> Iterator[Candidate]:
    """Yield every configuration of a space of known size, drawn ones included.

    Beyond :data:`WALKABLE` configurations only for a population, which needs all its members.
    """
    if is_walkable(space) or (space.sweep.scheduler == "pbt" and space.size is not None):
        yield from distinct(space, space.grid())


def random_values(space: SearchSpace) -> Iterator[dict[str, Scalar]]:
    """Yield values drawn at random, without end."""
    generator = random.Random(short_seed("random", space.sweep.seed))
    while True:
        yield space.suggest(RandomSuggest(generator))


def quasi_random_values(space: SearchSpace, seed: int) -> Iterator[dict[str, Scalar]]:
    """Yield the values of each point of a scrambled Sobol sequence, without end."""
    names = [parameter.path for parameter in space.parameters]
    for point in sobol_points(names, seed):
        yield space.suggest(point)


def distinct(
    space: SearchSpace, sequence: Iterator[dict[str, Scalar]], duplicates: int | None = None
) -> Iterator[Candidate]:
    """Yield each configuration of a sequence of values once, and end after ``duplicates`` repetitions in a row.

    Earlier trials are not considered: only what came before in the sequence itself counts as a duplicate, so that it
    ends in the same place whenever it is walked.
    """
    seen: set[str] = set()
    repeated = 0
    for values in sequence:
        found = candidate(space, values)
        if found is not None and found.key not in seen:
            repeated = 0
            seen.add(found.key)
            yield found
            continue
        repeated += 1
        if duplicates is not None and repeated >= duplicates:
            return


class ListedProposer:
    """Proposes the points of ``[[sweep.try]]`` and no others, each with as many seeds as asked for."""

    def __init__(self, space: SearchSpace) -> None:
        repeats = range(1, space.sweep.repeats + 1) if space.sweep.repeats > 1 else (0,)
        found = (candidate(space, values, repeat=repeat) for repeat in repeats for values in space.first)
        self._listed = [each for each in found if each is not None]

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return the first point that was not proposed yet."""
        return next((each for each in self._listed if each.key not in state.keys), None)


class FirstProposer:
    """Proposes the points of ``[[sweep.try]]``, then what another proposer does."""

    def __init__(self, space: SearchSpace, then: Proposer) -> None:
        self._first = [each for values in space.first if (each := candidate(space, values)) is not None]
        self._then = then

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return the first of the points that was not tried, else what the other proposer proposes."""
        first = next((each for each in self._first if each.key not in state.keys), None)
        return first or self._then.propose(state)


class SequenceProposer:
    """Walks a fixed sequence and skips what was tried: random, quasi-random and grid search.

    ``candidates`` is the same sequence, from its start, whenever the sweep is resumed.
    """

    def __init__(self, candidates: Iterator[Candidate]) -> None:
        self._candidates = candidates

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return the next configuration of the sequence that was not tried."""
        return next((found for found in self._candidates if found.key not in state.keys), None)


def random_proposer(space: SearchSpace) -> Proposer:
    """Return the `random` proposer: configurations drawn at random, then the rest of a finite space."""
    return SequenceProposer(drawn_then_left(space, random_values(space)))


def quasi_random_proposer(space: SearchSpace) -> Proposer:
    """Return the `quasi_random` proposer: points of a Sobol sequence, then the rest of a finite space."""
    values = quasi_random_values(space, short_seed("quasi_random", space.sweep.seed))
    return SequenceProposer(drawn_then_left(space, values))


def grid_proposer(space: SearchSpace) -> Proposer:
    """Return the `grid` proposer: every configuration of a finite space.

    Raises:
        ConfigError: the space is not finite.
    """
    return SequenceProposer(distinct(space, space.grid()))


class PointSuggest:
    """Values from one point of the unit cube, by the inverse of each parameter's distribution function.

    ``point`` maps each parameter's name to a number in [0, 1).
    """

    def __init__(self, point: Mapping[str, float]) -> None:
        self._point = point

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        """Return one of ``options``; each covers an interval of the same length."""
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


def place(among: Range, value: Scalar) -> float:
    """Return the middle of the interval in [0, 1) for which :class:`PointSuggest` gives ``value`` of a range."""
    if isinstance(among, Choice):
        return (among.options.index(value) + 0.5) / among.size
    assert isinstance(value, int | float)
    low, high = float(among.low), float(among.high)
    if among.log:
        half = 0.5 if isinstance(among, IntRange) else 0.0
        low, high, value = math.log(low - half), math.log(high + half), math.log(value)
    elif among.size is not None:
        return (round((value - low) / (among.step or 1)) + 0.5) / among.size
    return (value - low) / (high - low)


def sobol_points(names: Sequence[str], seed: int) -> Iterator[PointSuggest]:
    """Yield the points of a scrambled Sobol sequence (Owen 1998), one coordinate for each of ``names``."""
    engine = SobolEngine(len(names), scramble=True, seed=seed)
    while True:
        yield PointSuggest(dict(zip(names, engine.draw(1)[0].tolist(), strict=True)))
