"""Time left for the training of a sweep, as an interval that is wide while little is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapreplace
from math import sqrt
from statistics import fmean, stdev

from iafsweep.texts import Span


@dataclass(frozen=True)
class Pace:
    """The pace of a running trial.

    Attributes:
        elapsed: seconds since its process started.
        left: seconds that it will still take at the pace of its epochs; None before the first.
    """

    elapsed: float
    left: float | None = None


def pace(elapsed: float, trained: float, epochs: int, of: int, silent: float = 0.0) -> Pace:
    """Return the pace of a running trial.

    Args:
        elapsed: seconds since its process started.
        trained: seconds that its epochs took, without compiling.
        epochs: number of epochs done.
        of: number of epochs to train.
        silent: seconds since the last epoch was done.
    """
    if epochs < 1:
        return Pace(elapsed)
    return Pace(elapsed, max(trained / epochs * (of - epochs) - silent, 0.0))


def time_left(ended: Sequence[float], running: Sequence[Pace], waiting: int, at_a_time: int) -> Span | None:
    """Return an interval for the seconds that the remaining trials take.

    The mean and the spread of a trial's duration come from the n trials that have ended or run at a known pace. The
    mean's relative uncertainty u is taken as twice its standard error, at least 1 / sqrt(n); the estimate is divided
    and multiplied by 1 + u. A running trial takes what its pace says, and each waiting one starts when another ends.

    Args:
        ended: seconds of each trial that has ended.
        running: the running trials.
        waiting: number of trials not started.
        at_a_time: number of trials that run at once.

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
