"""Go on until an estimate is good enough, by what it can know of its own error.

A standard error alone says nothing of bias: importance sampling can be nats below log p(x) with a tiny one. Half the
effort, however, is biased more than all of it; where doubling the effort hardly moves the estimate any more, little
bias is left that more of the same effort could remove. Both must be small.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Progress:
    """What an effort gave: figures of a set of images, nats per image.

    Attributes:
        effort: all effort so far, in whatever is counted: samples, chains, temperatures.
        estimate: mean over images of the estimated log p(x), from all of it.
        half_estimate: the same from half of it: of samples best the mean over both halves, which is less noisy than
            either; of temperatures the round before. NaN where nothing has been done with half of it yet.
        standard_error: the estimator's own standard error of `estimate` (that over images no effort can mend).
    """

    effort: int
    estimate: float
    half_estimate: float
    standard_error: float

    @property
    def difference(self) -> float:
        """Absolute difference between all and half of the effort; NaN if an estimate is infinite."""
        return abs(self.estimate - self.half_estimate)

    def is_within(self, target: float) -> bool:
        """Whether both the standard error and the difference are below a target; a NaN never is."""
        return self.standard_error < target and self.difference < target


@dataclass(frozen=True)
class UntilError:
    """How a search for a small error ended.

    Attributes:
        rounds: the progress after each round; each has twice the effort of the one before.
        target: the error aimed at, nats per image.
        stopped_by: ``target`` if the last round met it, ``budget`` if no further round was allowed.
    """

    rounds: tuple[Progress, ...]
    target: float
    stopped_by: Literal["target", "budget"]

    @property
    def last(self) -> Progress:
        """The round with all the effort."""
        return self.rounds[-1]


def search(target: float, first_effort: int, may_spend: Callable[[int], bool]) -> Generator[int, Progress, UntilError]:
    """Double the effort until standard error and difference are both below a target, or the budget ends.

    A generator: yields how much effort to bring all work up to, is sent what that gave, and returns how it ended. So
    several searches can go on side by side, and a killed one is taken up again by sending it what it has.

    Args:
        target: the error to come below, nats per image.
        first_effort: effort of the first round, which is always made.
        may_spend: whether so much effort in all is still within the budget, of whatever kind; asked before each further
            round.

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
