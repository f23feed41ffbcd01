"""Budgets: what ends a sweep in good order before its last trial."""

from __future__ import annotations

import time
from collections.abc import Callable

from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.callbacks.base import StopReason, SweepCallback
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.scoring.cost import rerun_costs, rerun_seconds, training_seconds_an_image
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.trial_report import TrialReport

_LARGEST_RESERVE = 0.5
"""At most this share of the hours is kept for the rerun."""


class BudgetWatch(SweepCallback):
    """Hears of a sweep and says when a budget is used up.

    Hours are those of one command; GPU-hours and the target are the whole sweep's. Of the hours, time is kept for
    scoring the best trials: what that takes is estimated from the seconds that training an image takes, and from all
    tasks there are; a search for a small error may take all that it may.

    Args:
        space: the search space, with its budgets.
        hours: hours this command may take; None: no limit.
        clock: seconds since some moment.
        started: the clock when the command began; None: now.
        stop: where it says which budget is used up.
    """

    def __init__(
        self,
        space: SearchSpace,
        hours: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        started: float | None = None,
        stop: StopReason | None = None,
    ) -> None:
        self._space = space
        self._seconds = None if hours is None else 3600 * hours
        self._clock = clock
        self._started = clock() if started is None else started
        self._at_a_time = 1
        self._running: dict[str, float] = {}
        self._seconds_an_image = 0.0
        self._costs = () if hours is None else rerun_costs(space.base, space.base.data.facts.test_images)
        self.stop = StopReason() if stop is None else stop

    def look_at_the_clock(self) -> None:
        """End the sweep if its hours are used up; called in every turn of Tune's loop."""
        if self._seconds is not None:
            reserve = self._reserve()
            if self._clock() - self._started > self._seconds - reserve:
                kept = f", {reserve / 60:.1f} minutes of them kept for scoring the best" if reserve else ""
                self.stop.give("stopped", f"the {self._seconds / 3600:g} hours are used up{kept}")

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Note the plan, and look at what earlier drivers spent."""
        self._at_a_time = plan.at_a_time
        self._look(state)

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """Note what a running trial has spent."""
        self._running[report.trial] = report.seconds * report.gpus
        if report.epoch:
            images = self._space.base.data.training_images
            self._seconds_an_image = max(self._seconds_an_image, training_seconds_an_image(report, images))
        self._look(state)

    def finished(self, row: Finished, state: LedgerState) -> None:
        """Take a trial's spending from the ledger from now on."""
        self._running.pop(row.trial, None)
        self._look(state)

    def _look(self, state: LedgerState) -> None:
        sweep = self._space.sweep
        best = None if state.best is None or state.best.finished is None else state.best.finished.best_value
        if sweep.target is not None and best is not None and best <= sweep.target:
            self.stop.give("stopped", f"the target of {sweep.target:g} nats is reached ({best:.2f})")
        spent = (state.gpu_seconds + sum(self._running.values())) / 3600
        if sweep.gpu_hours is not None and spent >= sweep.gpu_hours:
            self.stop.give("stopped", f"the {sweep.gpu_hours:g} GPU-hours are used up ({spent:.2f})")

    def _reserve(self) -> float:
        """Seconds to keep for the rerun."""
        top = self._space.sweep.top
        one = rerun_seconds(self._costs, self._seconds_an_image)
        return min(one * top / min(self._at_a_time, max(top, 1)), _LARGEST_RESERVE * (self._seconds or 0.0))
