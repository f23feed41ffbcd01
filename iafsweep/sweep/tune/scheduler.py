"""Whom Tune asks what ends: the scheduler after each epoch of a trial, the stopper after each event of the sweep."""

import time
from collections.abc import Callable
from typing import Any

from ray.tune import Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from iafsweep.records import METRIC
from iafsweep.sweep.schedulers.base import StopRule
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.tune.options import STALLED_SECONDS


class RuledScheduler(FIFOScheduler):
    """A scheduler of ours, asked by Tune.

    Ray's own keep what they decide by under Tune's names of trials, which are new after every resume, and in no place
    it could be given back through; ours keep it under our names. ``rule`` is filled from the ledger; None stops nobody.
    In ``folder`` somebody may have put down the wish that a trial stop.
    """

    def __init__(self, rule: StopRule | None, folder: SweepFolder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rule = rule
        self._folder = folder

    def on_trial_result(self, tune_controller: object, trial: Trial, result: dict[str, Any]) -> str:
        """Return whether the trial goes on."""
        name = trial.config["trial"]
        # Recorded in any case: rungs refilled from the ledger have a trial that somebody stopped at a rung, too.
        stops = self._rule is not None and self._rule.record(name, result["epoch"], result[METRIC])
        asked = self._folder.take_stop_request(name)
        return str(TrialScheduler.STOP if stops or asked else TrialScheduler.CONTINUE)


class SweepStopper(Stopper):
    """Ends Tune's loop in good order; running trials save and stay unfinished."""

    def __init__(self, should_end: Callable[[], bool]) -> None:
        self._should_end = should_end

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its parts into a file of its own, which is never read back."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no single trial; that is the scheduler's."""
        return False

    def stop_all(self) -> bool:
        """Return whether the sweep should end."""
        return self._should_end()


class StallWatch:
    """Notices that trials wait although none runs."""

    def __init__(self, limit: float = STALLED_SECONDS) -> None:
        self._limit = limit
        self._moved = time.monotonic()
        self.stalled = False

    def look(self, trials: list[Trial]) -> None:
        """Look at Tune's trials; called in every turn of its loop."""
        waiting = any(trial.status == Trial.PENDING for trial in trials)
        if not waiting or any(trial.status == Trial.RUNNING for trial in trials):
            self._moved = time.monotonic()
        self.stalled = time.monotonic() - self._moved > self._limit
