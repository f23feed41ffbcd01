"""What a scheduler is: who goes on past an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from iafsweep.config.sweep import SCHEDULERS
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.state import LedgerState


class StopRule(Protocol):
    """Decides from the bounds it was told of; all memory is the ledger's, so that a resumed sweep decides alike."""

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs after which a trial may be stopped; it saves before it reports them."""

    def record(self, trial: str, epoch: int, value: float) -> bool:
        """Note that ``trial`` has the validation bound ``value`` after ``epoch``; return whether it should stop."""


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
