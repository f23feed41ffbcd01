"""What a scheduler is: who goes on past an epoch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from iafsweep.config.sweep import SCHEDULERS
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.events import Event, Finished, Reopened, Rung
from iafsweep.sweep.storage.state import LedgerState, TrialState


class StopRule(Protocol):
    """Decides from the bounds it was told of; all memory is the ledger's, so that a resumed sweep decides alike."""

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs after which a trial may be stopped; it saves before it reports them."""

    def record(self, trial: str, epoch: int, value: float) -> bool:
        """Note that ``trial`` has the validation bound ``value`` after ``epoch``; return whether it should stop."""


@runtime_checkable
class PromotingRule(StopRule, Protocol):
    """A rule that lets trials which it stopped go on later."""

    def promotion(self, state: LedgerState) -> TrialState | None:
        """Return the stopped trial that is to go on now, before any new one begins; None if there is none."""


def promotion(rule: StopRule | None, state: LedgerState) -> TrialState | None:
    """Return the stopped trial that ``rule`` lets go on now; None if there is none."""
    return rule.promotion(state) if isinstance(rule, PromotingRule) else None


def beginnings(rule: StopRule | None, state: LedgerState, waiting: int, trials: int) -> int:
    """Return how often a trial may begin or go on at most in a sweep of ``trials``, ``waiting`` of which will.

    Where ``rule`` promotes, each may besides go on once at each rung, unless nothing is left to come.
    """
    if isinstance(rule, PromotingRule) and (waiting or rule.promotion(state) is not None):
        return waiting + trials * len(rule.milestones)
    return waiting


def promoted(trial: TrialState, time: str) -> tuple[Reopened, Rung]:
    """Return the rows of a stopped trial that goes on past its rung."""
    ended = trial.finished
    assert ended is not None
    assert ended.value is not None
    return (
        Reopened(trial=trial.trial, gpus=trial.gpus, time=time),
        Rung(trial=trial.trial, epoch=ended.epochs, value=ended.value, time=time),
    )


class RecordingRule(ABC):
    """A rule that keeps the bounds of milestones; the order of rows alone decides.

    Refilled from a ledger it decides as the one before it did. Ignored are epochs between milestones, milestones that
    the trial passed before (it went on from a checkpoint), and bounds that are not finite (such a trial ends itself).
    """

    def __init__(self, milestones: Iterable[int]) -> None:
        self._recorded: dict[int, dict[str, float]] = {milestone: {} for milestone in milestones}

    @property
    def milestones(self) -> tuple[int, ...]:
        """The epochs that trials are judged after, ascending."""
        return tuple(self._recorded)

    def record(self, trial: str, epoch: int, value: float) -> bool:
        """Note that ``trial`` has the bound ``value`` after ``epoch`` and return whether it should stop."""
        at = self._recorded.get(epoch)
        if at is None or trial in at or not math.isfinite(value):
            return False
        stops = self._stops(trial, epoch, value)
        at[trial] = value
        return stops

    def refill(self, events: Iterable[Event]) -> None:
        """Record what a ledger's rows tell of, in their order.

        Of a trial's last epoch only that of a stopped one: whether a trial that ends by itself goes on is never asked.
        """
        for event in events:
            if isinstance(event, Rung):
                self.record(event.trial, event.epoch, event.value)
            elif isinstance(event, Finished) and event.status == "stopped" and event.value is not None:
                self.record(event.trial, event.epochs, event.value)
            elif isinstance(event, Reopened) and event.afresh:
                for at in self._recorded.values():
                    at.pop(event.trial, None)

    @abstractmethod
    def _stops(self, trial: str, epoch: int, value: float) -> bool:
        """Return whether a trial that comes to a milestone should stop, from the bounds recorded before."""


def stop_nobody(space: SearchSpace, state: LedgerState) -> StopRule | None:
    """Return `none`: every trial goes on to its last epoch."""
    return None


def make_stop_rule(space: SearchSpace, state: LedgerState) -> StopRule | None:
    """Return the rule that ``space.sweep.scheduler`` names, as of a ledger; None when it stops nobody.

    Raises:
        PluginError: its plugin is not loaded.
    """
    member: Callable[[SearchSpace, LedgerState], StopRule | None] = SCHEDULERS.load(space.sweep.scheduler)
    return member(space, state)
