"""Population-based training: members train side by side, and the weakest go on from copies of the strongest."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from iafsweep.search_space.candidate import candidate, short_seed
from iafsweep.search_space.distributions import Choice, Range, Scalar
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.events import Exchange, Generation
from iafsweep.sweep.storage.state import LedgerState, TrialState


class Population:
    """Who stops where, and who copies whom: a function of the space and the ledger (Jaderberg et al. 2017).

    All members train to the end of a generation before any goes on, so that bounds of the same epoch are compared and
    a resumed sweep decides as an undisturbed one would.

    Args:
        space: the search space; ``sweep.trials`` is the number of members.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._ends = tuple(range(space.generation_epochs, space.most_epochs, space.generation_epochs))

    def until(self, state: LedgerState) -> int | None:
        """Return the epoch that members train to now: the end of the earliest generation that is not complete.

        None in the last generation, in which members train to their last epoch.
        """
        return next((end for end in self._ends if not self._is_complete(end, state)), None)

    def generation(self, state: LedgerState) -> Generation | None:
        """Return the exchange that is due: of the last complete generation, if the ledger has none for it yet."""
        complete = [end for end in self._ends if self._is_complete(end, state)]
        if not complete or complete[-1] in state.generations:
            return None
        end = complete[-1]
        members = sorted(
            (member for member in state.unfinished if has_reached(member, end)),
            key=lambda member: (_bound(member, end), member.proposed.number),
        )
        count = len(members) // self._space.procedure.copied_share  # truncation selection
        weakest = members[len(members) - count :]
        exchanges = (self._exchange(end, weak, members, count) for weak in weakest)
        return Generation(epoch=end, exchanges=tuple(exchanges), time="")

    def _exchange(self, end: int, weak: TrialState, ranked: list[TrialState], best: int) -> Exchange:
        generator = random.Random(short_seed("exchange", self._space.sweep.seed, end, weak.trial))
        donor = ranked[generator.randrange(best)]
        values = perturbed(self._space, donor.proposed.parameters, generator)
        # A number of its own for every exchange, so that two copies never draw the same noise.
        repeat = end * 10**6 + weak.proposed.number
        found = candidate(self._space, values, repeat=repeat)
        assert found is not None  # every combination of learning rate and warm-up is legal where their ends are
        return Exchange(
            trial=weak.trial,
            donor=donor.trial,
            parameters=dict(found.values),
            seed=found.config.training.seed,
            key=found.key,
            repeat=found.repeat,
        )

    def _is_complete(self, end: int, state: LedgerState) -> bool:
        everyone = len(state.trials) >= self._space.sweep.trials
        return everyone and all(has_reached(member, end) for member in state.unfinished)


def perturbed(space: SearchSpace, values: Mapping[str, Scalar], generator: random.Random) -> dict[str, Scalar]:
    """Return values near ``values``: each moved up or down, a choice one further; some are drawn anew."""
    redrawn = space.suggest(RandomSuggest(generator))
    moves = 1 - space.procedure.moved_by, 1 + space.procedure.moved_by
    moved = {}
    for path, value in values.items():
        direction, anew = generator.randrange(2), generator.random() < space.procedure.redrawn
        moved[path] = (
            redrawn.get(path, value)
            if anew
            else _moved(space.parameter(path).range, value, moves[direction], direction)
        )
    return space.active(moved)


def _moved(among: Range, value: Scalar, factor: float, direction: int) -> Scalar:
    """Return a neighbour of ``value``; at the end of its range the end itself."""
    if isinstance(among, Choice):
        place = among.options.index(value) + (1 if direction else -1)
        return among.options[min(max(place, 0), among.size - 1)]
    assert isinstance(value, int | float)
    low, high = among.low, among.high
    target = value * factor
    if among.step is not None:
        steps = max(1, round(abs(target - value) / among.step))
        target = value + (steps if direction else -steps) * among.step
    return among.canonical(min(max(target, low), high))


def has_reached(member: TrialState, end: int) -> bool:
    """Return whether the ledger knows a member's bound at epoch ``end`` or a later end."""
    return any(rung.epoch >= end for rung in member.rungs)


def _bound(member: TrialState, end: int) -> float:
    return next((rung.value for rung in member.rungs if rung.epoch == end), float("inf"))


def current(generations: Iterable[Generation]) -> Generation | None:
    """Return the newest generation, whose copies may not all have been made."""
    return max(generations, key=lambda generation: generation.epoch, default=None)
