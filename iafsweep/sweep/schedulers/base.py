"""Interfaces of schedulers, and what they have in common."""

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
    """Decides which trials stop; all its memory is in the ledger, so that a resumed sweep decides alike."""

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs after which a trial may be stopped; a trial saves a checkpoint before it reports them."""

    def record(self, trial: str, epoch: int, value: float) -> bool:
        """Record that ``trial`` has the validation bound ``value`` after ``epoch``; return whether it should stop."""


@runtime_checkable
class PromotingRule(StopRule, Protocol):
    """A rule that lets trials it has stopped continue later."""

    def promotion(self, state: LedgerState) -> TrialState | None:
        """Return the stopped trial that should continue now, before any new one starts; None if there is none."""


def promotion(rule: StopRule | None, state: LedgerState) -> TrialState | None:
    """Return the stopped trial that ``rule`` lets continue now; None if there is none."""
    return rule.promotion(state) if isinstance(rule, PromotingRule) else None


def beginnings(rule: StopRule | None, state: LedgerState, waiting: int, trials: int) -> int:
    """Return the most starts and continuations left in a sweep of ``trials``, ``waiting`` of which are still to run.

    If ``rule`` promotes, each trial may also continue once at each rung, unless none is waiting or due for promotion.
    """
    if isinstance(rule, PromotingRule) and (waiting or rule.promotion(state) is not None):
        return waiting + trials * len(rule.milestones)
    return waiting


def promoted(trial: TrialState, time: str) -> tuple[Reopened, Rung]:
    """Return the ledger rows with which a stopped trial continues past its rung."""
    ended = trial.finished
    assert ended is not None
    assert ended.value is not None
    return (
        Reopened(trial=trial.trial, gpus=trial.gpus, time=time),
        Rung(trial=trial.trial, epoch=ended.epochs, value=ended.value, time=time),
    )


class RecordingRule(ABC):
    """A rule that records the bounds at milestones and decides by the order of the rows alone.

    Refilled from a ledger, it decides as before. It ignores epochs between milestones, milestones that the trial has
    already passed (it continued from a checkpoint), and bounds that are not finite (such a trial ends itself).
    """

    def __init__(self, milestones: Iterable[int]) -> None:
        self._recorded: dict[int, dict[str, float]] = {milestone: {} for milestone in milestones}

    @property
    def milestones(self) -> tuple[int, ...]:
        """The epochs after which trials are judged, ascending."""
        return tuple(self._recorded)

    def record(self, trial: str, epoch: int, value: float) -> bool:
        """Record that ``trial`` has the bound ``value`` after ``epoch``; return whether it should stop."""
        at = self._recorded.get(epoch)
        if at is None or trial in at or not math.isfinite(value):
            return False
        stops = self._stops(trial, epoch, value)
        at[trial] = value
        return stops

    def refill(self, events: Iterable[Event]) -> None:
        """Record the bounds in a ledger's rows, in their order.

        The last epoch of a trial counts only if it was stopped: no rule is asked about a trial that ends by itself.
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
        """Return whether a trial that reaches a milestone should stop, given the bounds recorded before."""


def stop_nobody(space: SearchSpace, state: LedgerState) -> StopRule | None:
    """Return no rule: every trial trains to its last epoch."""
    return None


def make_stop_rule(space: SearchSpace, state: LedgerState) -> StopRule | None:
    """Return the rule that ``space.sweep.scheduler`` names, as of a ledger; None if it never stops a trial.

    Raises:
        PluginError: the scheduler's plugin is not loaded.
    """
    member: Callable[[SearchSpace, LedgerState], StopRule | None] = SCHEDULERS.load(space.sweep.scheduler)
    return member(space, state)
