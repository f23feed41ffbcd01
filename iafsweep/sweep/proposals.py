"""Which configuration to try next, as a function of the space, its seed and the ledger."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from iafsweep.config import RunConfig
from iafsweep.errors import ConfigError
from iafsweep.seeds import derive_seed
from iafsweep.sweep.keys import configuration_key
from iafsweep.sweep.quasi_random import sobol_points
from iafsweep.sweep.ranges import Scalar
from iafsweep.sweep.space import SearchSpace
from iafsweep.sweep.state import LedgerState
from iafsweep.sweep.suggest import RandomSuggest
from iafsweep.sweep.tpe import TpeHistory

DUPLICATES = 100
"""So many proposals in a row that were tried before end the sweep."""
_TPE_ATTEMPTS = 25


@dataclass(frozen=True)
class Candidate:
    """A configuration to train.

    Attributes:
        values: searched values by path, active ones only.
        config: the whole configuration, with the trial's own training seed.
        key: equal for configurations that train the same.
        repeat: which of several seeds of the same configuration, from 1; 0 where each has one.
    """

    values: Mapping[str, Scalar]
    config: RunConfig
    key: str
    repeat: int = 0


def short_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2^31), as configurations take it, that depends on all ``parts`` and on nothing else."""
    return derive_seed(*parts) % 2**31


def candidate(space: SearchSpace, values: Mapping[str, Scalar], afresh: int = 0, repeat: int = 0) -> Candidate | None:
    """Return the configuration of ``values``, or None if together they break a rule.

    The training seed is a function of the sweep's seed and the configuration alone, so that a configuration trains
    alike whichever trial it is; a trial that began ``afresh``, and each ``repeat``, has another one.
    """
    try:
        config = space.config(values)
    except ConfigError:
        return None
    key = configuration_key(config)
    parts: list[int | str] = ["trial", space.sweep.seed, key]
    if repeat:
        parts += ["repeat", repeat]
    if afresh:
        parts.append(afresh)
    training = config.training.model_copy(update={"seed": short_seed(*parts)})
    shown = f"{key}.{repeat}" if repeat else key
    return Candidate(dict(values), config.model_copy(update={"training": training}), shown, repeat)


class Proposer(Protocol):
    """Proposes configurations; all memory is the ledger's, so that a resumed sweep goes on as if never interrupted."""

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return a configuration that was not tried yet; None when there is none left, or none is found."""


def make_proposer(space: SearchSpace) -> Proposer:
    """Return the proposer that ``space.sweep.sampler`` names.

    Raises:
        ConfigError: ``grid`` on a space that is not finite.
    """
    sources: dict[str, Callable[[SearchSpace], Proposer]] = {
        "tpe": TpeProposer,
        "random": lambda space: SequenceProposer(_random_candidates(space)),
        "quasi_random": lambda space: SequenceProposer(_distinct(space, _quasi_random_values(space), DUPLICATES)),
        "grid": lambda space: SequenceProposer(_distinct(space, space.grid())),
        "listed": ListedProposer,
    }
    proposer = sources[space.sweep.sampler](space)
    listed = space.sweep.sampler == "listed"
    return FirstProposer(space, proposer) if space.first and not listed else proposer


def _random_candidates(space: SearchSpace) -> Iterator[Candidate]:
    """Yield configurations drawn at random; a population, which needs every member, gets the rest from the grid."""
    yield from _distinct(space, _random_values(space), DUPLICATES)
    if space.sweep.scheduler == "pbt" and space.size is not None:
        yield from _distinct(space, space.grid())


def _random_values(space: SearchSpace) -> Iterator[dict[str, Scalar]]:
    generator = random.Random(short_seed("random", space.sweep.seed))
    while True:
        yield space.suggest(RandomSuggest(generator))


def _quasi_random_values(space: SearchSpace) -> Iterator[dict[str, Scalar]]:
    names = [parameter.path for parameter in space.parameters]
    for point in sobol_points(names, short_seed("quasi_random", space.sweep.seed)):
        yield space.suggest(point)


def _distinct(
    space: SearchSpace, sequence: Iterator[dict[str, Scalar]], duplicates: int | None = None
) -> Iterator[Candidate]:
    """Yield each configuration of a sequence of values once, and end after so many ``duplicates`` in a row.

    What was tried before is not asked: a duplicate is what came before in the sequence itself, so that it ends in the
    same place whenever it is walked.
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
    """The points of ``[[sweep.try]]`` and no others, each with as many seeds as asked for.

    Args:
        space: the search space.
    """

    def __init__(self, space: SearchSpace) -> None:
        repeats = range(1, space.sweep.repeats + 1) if space.sweep.repeats > 1 else (0,)
        found = (candidate(space, values, repeat=repeat) for repeat in repeats for values in space.first)
        self._listed = [each for each in found if each is not None]

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return the first that was not proposed."""
        return next((each for each in self._listed if each.key not in state.keys), None)


class FirstProposer:
    """The points of ``[[sweep.try]]`` first, then what another proposes.

    Args:
        space: the search space.
        then: who proposes once these are tried.
    """

    def __init__(self, space: SearchSpace, then: Proposer) -> None:
        self._first = [candidate(space, values) for values in space.first]
        self._then = then

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return the first of the points that was not tried, else what the other proposes."""
        for found in self._first:
            if found is not None and found.key not in state.keys:
                return found
        return self._then.propose(state)


class SequenceProposer:
    """Walks a fixed sequence and skips what was tried: random, quasi-random and grid search.

    Args:
        candidates: the sequence; the same one from the start whenever the sweep is resumed.
    """

    def __init__(self, candidates: Iterator[Candidate]) -> None:
        self._candidates = candidates

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return the first configuration of the rest of the sequence that was not tried."""
        return next((found for found in self._candidates if found.key not in state.keys), None)


class TpeProposer:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), multivariate and grouped by condition, through Optuna.

    Proposal ``number`` is a function of the seed, ``number`` and the rows before it: each is drawn by a fresh sampler
    with a seed of its own from a study built from the ledger. Early-stopped trials are told as pruned at their last
    value; trials that diverged, ran out of memory or failed as pruned at a bad value, since what failed outright the
    estimator ignores and proposes again. After 25 duplicates in a row, the rest of 100 are drawn at random.

    Args:
        space: the search space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._history = TpeHistory(space)

    def propose(self, state: LedgerState) -> Candidate | None:
        """Return a configuration that was not tried; None after 100 duplicates, or when the space is used up."""
        if self._space.size is not None and len(state.keys) >= self._space.size:
            return None
        number = state.last_number + 1
        for attempt in range(DUPLICATES):
            seed = short_seed("tpe", self._space.sweep.seed, number, attempt)
            if attempt < _TPE_ATTEMPTS:
                values = self._history.propose(state, seed)
            else:
                values = self._space.suggest(RandomSuggest(random.Random(seed)))
            found = candidate(self._space, values)
            if found is not None and found.key not in state.keys:
                return found
        return None
