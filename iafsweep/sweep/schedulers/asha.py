"""Asynchronous successive halving (ASHA): which trials train past a rung."""

from collections.abc import Iterator, Sequence

import numpy as np

from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.schedulers.base import RecordingRule
from iafsweep.sweep.storage.state import LedgerState


class Rungs(RecordingRule):
    """Rungs at ``grace * factor^k`` epochs and the bounds reached at each (Li et al. 2018, the stopping variant).

    A trial stops at a rung if its bound is above the 1/factor quantile of the bounds recorded there before it.

    Args:
        grace: the first rung; no trial stops before this epoch.
        factor: about one in ``factor`` trials continues past each rung.
        epochs: the most epochs of any trial; rungs are below it.

    Raises:
        ValueError: grace is below 1 or factor below 2.
    """

    def __init__(self, grace: int, factor: int, epochs: int) -> None:
        super().__init__(rungs(grace, factor, epochs))
        self._factor = factor

    def _stops(self, trial: str, epoch: int, value: float) -> bool:
        return is_above_quantile(value, list(self._recorded[epoch].values()), self._factor)


def is_above_quantile(value: float, before: Sequence[float], factor: int) -> bool:
    """Return whether a bound is above the 1/factor quantile of those before it; the first one never is."""
    return bool(before) and value > float(np.percentile(before, 100 / factor))


def rungs(grace: int, factor: int, epochs: int) -> Iterator[int]:
    """Yield the epochs of the rungs in ascending order."""
    if grace < 1 or factor < 2:
        raise ValueError(f"grace >= 1 and factor >= 2 must hold, got {grace} and {factor}")
    while grace < epochs:
        yield grace
        grace *= factor


def make_rungs(space: SearchSpace, state: LedgerState) -> Rungs:
    """Return the rungs of ``space``, filled from the ledger."""
    rule = Rungs(space.grace_epochs, space.sweep.reduction_factor, space.most_epochs)
    rule.refill(state.events)
    return rule
