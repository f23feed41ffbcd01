"""The rule of asynchronous successive halving: who goes on past a rung."""

import math
from collections.abc import Iterable

import numpy as np

from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.events import Event, Finished, Reopened, Rung
from iafsweep.sweep.storage.state import LedgerState


class Rungs:
    """Rungs at ``grace * factor^k`` epochs, and what trials reached on each (Li et al. 2018, the stopping variant).

    A trial stops at a rung when its bound is above the 1/factor quantile of the bounds recorded there before it. Only
    the order of rows decides, so that rungs refilled from a ledger decide as those before them did.

    Args:
        grace: epochs before which nobody stops; the first rung.
        factor: about one in so many trials goes on at each rung.
        epochs: the most epochs of any trial; rungs are below it.

    Raises:
        ValueError: grace below 1 or factor below 2.
    """

    def __init__(self, grace: int, factor: int, epochs: int) -> None:
        if grace < 1 or factor < 2:
            raise ValueError(f"grace >= 1 and factor >= 2 must hold, got {grace} and {factor}")
        self._recorded: dict[int, dict[str, float]] = {}
        milestone = grace
        while milestone < epochs:
            self._recorded[milestone] = {}
            milestone *= factor
        self._factor = factor

    @property
    def milestones(self) -> tuple[int, ...]:
        """The epochs of the rungs, ascending."""
        return tuple(self._recorded)

    def record(self, trial: str, epoch: int, value: float) -> bool:
        """Note that ``trial`` has the bound ``value`` after ``epoch`` and return whether it should stop.

        Epochs between rungs, rungs the trial passed before (it went on from a checkpoint) and bounds that are not
        finite (such a trial ends itself) never stop it.
        """
        rung = self._recorded.get(epoch)
        if rung is None or trial in rung or not math.isfinite(value):
            return False
        before = list(rung.values())
        rung[trial] = value
        return bool(before) and value > float(np.percentile(before, 100 / self._factor))

    def refill(self, events: Iterable[Event]) -> None:
        """Record the rungs that a ledger's rows tell of, in their order.

        Of a trial's last epoch only that of a stopped one: whether a trial that ends by itself goes on is never asked.
        """
        for event in events:
            if isinstance(event, Rung):
                self.record(event.trial, event.epoch, event.value)
            elif isinstance(event, Finished) and event.status == "stopped" and event.value is not None:
                self.record(event.trial, event.epochs, event.value)
            elif isinstance(event, Reopened) and event.afresh:
                for rung in self._recorded.values():
                    rung.pop(event.trial, None)


def make_rungs(space: SearchSpace, state: LedgerState) -> Rungs:
    """Return the rungs of ``space``, filled from the ledger."""
    rungs = Rungs(space.grace_epochs, space.sweep.reduction_factor, space.most_epochs)
    rungs.refill(state.events)
    return rungs
