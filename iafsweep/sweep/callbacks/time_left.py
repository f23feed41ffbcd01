"""How long the training of a sweep still takes: a span, wide while little is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapreplace
from math import sqrt
from statistics import fmean, stdev

from iafsweep.texts import Span


@dataclass(frozen=True)
class Pace:
    """How a trial goes that runs.

    Attributes:
        elapsed: seconds since it was begun here.
        left: seconds that it takes further at the pace of its epochs; None before there is one.
    """

    elapsed: float
    left: float | None = None


def pace(elapsed: float, trained: float, epochs: int, of: int, silent: float = 0.0) -> Pace:
    """Return how a trial goes.

    Args:
        elapsed: seconds since it was begun here.
        trained: seconds that its epochs took, compiling not counted.
        epochs: how many epochs those are.
        of: how many epochs it is to train.
        silent: seconds since the last of them.
    """
    if epochs < 1:
        return Pace(elapsed)
    return Pace(elapsed, max(trained / epochs * (of - epochs) - silent, 0.0))


def time_left(ended: Sequence[float], running: Sequence[Pace], waiting: int, at_a_time: int) -> Span | None:
    """Return between how many seconds the trials that are left take.

    Those that ended and those that run at a known pace say how long a trial takes, and by how much trials differ; of n
    of them the mean is taken for uncertain by twice its standard error, and by no less than 1 / sqrt(n). A trial that
    runs takes what its pace says, and each that waits begins where one ends.

    Args:
        ended: seconds of each trial that ended.
        running: the trials that run.
        waiting: how many have not begun.
        at_a_time: how many run at once.

    Returns:
        None before any trial has ended or trained an epoch.

    Example:
        >>> time_left([60.0] * 4, [Pace(30.0)], 4, 2)
        (100.0, 225.0)
        >>> time_left([], [Pace(10.0)], 7, 1) is None
        True
    """
    whole = [*ended, *(each.elapsed + each.left for each in running if each.left is not None)]
    if not whole:
        return None
    mean = fmean(whole)
    rests = [max(mean - each.elapsed, 0.0) if each.left is None else each.left for each in running]
    ends = sorted([*rests, *([0.0] * (at_a_time - len(rests)))])
    for _ in range(waiting):
        heapreplace(ends, ends[0] + mean)
    left = max(ends)
    spread = stdev(whole) / mean if len(whole) > 1 and mean > 0 else 0.0
    doubt = 1 + max(2 * spread, 1.0) / sqrt(len(whole))
    return left / doubt, left * doubt
