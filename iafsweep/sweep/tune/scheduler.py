"""What ends trials and the sweep: Tune asks the scheduler after each epoch, the stopper after each event."""

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
    """Lets Tune apply one of our stop rules.

    Ray's own schedulers key their state by Tune's trial ids, which change with every resume, and offer no way to
    restore it; ours use the ledger's names of trials. ``rule`` is filled from the ledger; None stops nobody. ``folder``
    may hold requests to stop a trial.
    """

    def __init__(self, rule: StopRule | None, folder: SweepFolder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rule = rule
        self._folder = folder

    def on_trial_result(self, tune_controller: object, trial: Trial, result: dict[str, Any]) -> str:
        """Return whether the trial continues."""
        name = trial.config["trial"]
        # Recorded even if the user stops the trial at this rung: rungs refilled from the ledger contain it too.
        stops = self._rule is not None and self._rule.record(name, result["epoch"], result[METRIC])
        asked = self._folder.take_stop_request(name)
        return str(TrialScheduler.STOP if stops or asked else TrialScheduler.CONTINUE)


class SweepStopper(Stopper):
    """Ends Tune's loop in an orderly way; running trials save and stay unfinished."""

    def __init__(self, should_end: Callable[[], bool]) -> None:
        self._should_end = should_end

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its components into a file that is never read back."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: stopping single trials is the scheduler's job."""
        return False

    def stop_all(self) -> bool:
        """Return whether the sweep should end."""
        return self._should_end()


class StallWatch:
    """Notices when trials have waited for ``limit`` seconds although none runs."""

    def __init__(self, limit: float = STALLED_SECONDS) -> None:
        self._limit = limit
        self._moved = time.monotonic()
        self.stalled = False

    def look(self, trials: list[Trial]) -> None:
        """Check Tune's trials; called in every turn of its loop."""
        waiting = any(trial.status == Trial.PENDING for trial in trials)
        if not waiting or any(trial.status == Trial.RUNNING for trial in trials):
            self._moved = time.monotonic()
        self.stalled = time.monotonic() - self._moved > self._limit
