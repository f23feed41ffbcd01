"""The scheduler Tune asks after every epoch."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from iafsweep.records import METRIC
from iafsweep.sweep.schedulers.asha import Rungs
from iafsweep.sweep.storage.folder import SweepFolder


class RungScheduler(FIFOScheduler):
    """Asynchronous successive halving over :class:`Rungs`.

    Ray's own scheduler keeps its rungs under Tune's names of trials, which are new after every resume, and in no place
    they could be given back through; this one keeps them under ours.

    Args:
        rungs: the rungs, filled from the ledger; None stops nobody.
        folder: where somebody may have put down the wish that a trial stop.
    """

    def __init__(self, rungs: Rungs | None, folder: SweepFolder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rungs = rungs
        self._folder = folder

    def on_trial_result(self, tune_controller: object, trial: Trial, result: dict[str, Any]) -> str:
        """Return whether the trial goes on."""
        name = trial.config["trial"]
        # Recorded in any case: rungs refilled from the ledger have a trial that somebody stopped at a rung, too.
        stops = self._rungs is not None and self._rungs.record(name, result["epoch"], result[METRIC])
        asked = self._folder.take_stop_request(name)
        return str(TrialScheduler.STOP if stops or asked else TrialScheduler.CONTINUE)
