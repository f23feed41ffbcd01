"""Increase the effort until an estimate is good enough, judged by its own diagnostics.

A standard error alone does not reveal bias: importance sampling can be nats below log p(x) with a tiny one. Half of the
effort, however, has a larger bias than all of it. If doubling the effort hardly moves the estimate, more of the same
effort could remove little bias. Both the standard error and this difference must be small.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Progress:
    """Figures of a set of images after a given effort, nats per image.

    Attributes:
        effort: total effort so far, counted in samples, chains or temperatures.
        estimate: mean over images of the estimated log p(x), from all of the effort.
        half_estimate: the same from half of it: for samples best the mean over both halves, which is less noisy than
            either; for temperatures the previous round. NaN if there is no estimate from half of the effort yet.
        standard_error: the estimator's own standard error of `estimate` (no effort reduces the one over images).
    """

    effort: int
    estimate: float
    half_estimate: float
    standard_error: float

    @property
    def difference(self) -> float:
        """Absolute difference between the estimates from all and from half of the effort; NaN if both are infinite."""
        return abs(self.estimate - self.half_estimate)

    def is_within(self, target: float) -> bool:
        """Whether both the standard error and the difference are below a target; never true for NaN."""
        return self.standard_error < target and self.difference < target


@dataclass(frozen=True)
class UntilError:
    """Result of a search for a small error.

    Attributes:
        rounds: the progress after each round; each has twice the effort of the one before.
        target: the targeted error, nats per image.
        stopped_by: ``target`` if the last round met it, ``budget`` if no further round was allowed.
    """

    rounds: tuple[Progress, ...]
    target: float
    stopped_by: Literal["target", "budget"]

    @property
    def last(self) -> Progress:
        """The last round, with all of the effort."""
        return self.rounds[-1]


def search(target: float, first_effort: int, may_spend: Callable[[int], bool]) -> Generator[int, Progress, UntilError]:
    """Double the effort until standard error and difference are both below a target, or the budget is spent.

    This generator yields the total effort to reach next, is sent the resulting `Progress`, and returns how the search
    ended. Several searches can therefore run side by side, and a killed one is resumed by sending it earlier progress.

    Args:
        target: the error to get below, nats per image.
        first_effort: effort of the first round, which always takes place.
        may_spend: whether a total effort is within the budget, of whatever kind; called before each further round.

    Raises:
        ValueError: `target` is not positive or `first_effort` is below 1.
    """
    if not 0 < target < math.inf:
        raise ValueError(f"target must be positive and finite: got {target}.")
    if first_effort < 1:
        raise ValueError(f"first_effort must be at least 1: got {first_effort}.")
    rounds = [(yield first_effort)]
    while not rounds[-1].is_within(target):
        effort = first_effort * 2 ** len(rounds)
        if not may_spend(effort):
            return UntilError(tuple(rounds), target, "budget")
        rounds.append((yield effort))
    return UntilError(tuple(rounds), target, "target")
