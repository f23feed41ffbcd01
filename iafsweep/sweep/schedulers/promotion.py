"""Asynchronous successive halving with promotion: a stopped trial continues once it is among the best of its rung."""

from typing import final

from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.schedulers.asha import Rungs
from iafsweep.sweep.storage.state import LedgerState, TrialState


@final
class PromotingRungs(Rungs):
    """The rungs of `asha`; of n trials that reached one, the best max(1, n // factor) continue.

    As in Li et al. (2020, "A system for massively parallel hyperparameter tuning"), except that at least one trial
    continues from each rung, so that a short sweep completes one, and that a trial among the best on arrival continues
    at once. The others stop there. Whenever a worker is free, before any new trial starts, a stopped trial that is by
    now among the best of its rung continues from its checkpoint: the best one of the highest such rung.
    """

    def __init__(self, grace: int, factor: int, epochs: int) -> None:
        super().__init__(grace, factor, epochs)
        self._stopped: set[tuple[str, int]] = set()

    def promotion(self, state: LedgerState) -> TrialState | None:
        """Return the stopped trial that should continue now; None if there is none."""
        for epoch in reversed(self.milestones):
            at = self._recorded[epoch]
            for trial in sorted(at, key=at.__getitem__)[: self._places(len(at))]:
                if (trial, epoch) in self._stopped and _waits(state.named[trial], epoch):
                    return state.named[trial]
        return None

    def _stops(self, trial: str, epoch: int, value: float) -> bool:
        bounds = sorted([value, *self._recorded[epoch].values()])
        stops = value > bounds[self._places(len(bounds)) - 1]
        if stops:
            self._stopped.add((trial, epoch))
        return stops

    def _places(self, count: int) -> int:
        return max(1, count // self._factor)


def _waits(trial: TrialState, epoch: int) -> bool:
    """Return whether a trial stopped at a rung and never continued; one that continued has a row of the rung."""
    ended = trial.finished is not None and (trial.finished.status, trial.finished.epochs) == ("stopped", epoch)
    return ended and all(rung.epoch != epoch for rung in trial.rungs)


def make_promoting_rungs(space: SearchSpace, state: LedgerState) -> PromotingRungs:
    """Return the rungs of ``space``, filled from the ledger."""
    rule = PromotingRungs(space.grace_epochs, space.sweep.reduction_factor, space.most_epochs)
    rule.refill(state.events)
    return rule
