"""The scheduler Tune asks after every epoch."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from iafsweep.records import METRIC
from iafsweep.sweep.schedulers.base import StopRule
from iafsweep.sweep.storage.folder import SweepFolder


class RuledScheduler(FIFOScheduler):
    """A scheduler of ours, asked by Tune.

    Ray's own keep what they decide by under Tune's names of trials, which are new after every resume, and in no place
    it could be given back through; ours keep it under our names.

    Args:
        rule: filled from the ledger; None stops nobody.
        folder: where somebody may have put down the wish that a trial stop.
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
