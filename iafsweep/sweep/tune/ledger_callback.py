"""The Tune callback that records events in the ledger before anything follows from them."""

import logging
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from iafsweep.sweep.callbacks.base import StopReason, SweepCallback
from iafsweep.sweep.storage.events import EndStatus, Finished, Rung, Started, now
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger
from iafsweep.sweep.storage.trial_report import TrialReport, read_report
from iafsweep.sweep.tune.scheduler import StallWatch
from iafsweep.texts import counted

_IDENTICAL = 3
"""Number of trials in a row whose failure in the same place ends the sweep."""

_ERROR_CHARACTERS = 8000


class Recorder(Callback):
    """Writes the ledger, notifies ``progress`` and counts failures.

    ``watch`` checks Tune's trials in every turn of its loop. ``stop`` is set when trials fail in the same way, when
    none starts, or when one finds the disk full.
    """

    def __init__(
        self,
        folder: SweepFolder,
        ledger: Ledger,
        milestones: tuple[int, ...],
        progress: SweepCallback,
        log: logging.Logger,
        watch: StallWatch,
        stop: StopReason,
    ) -> None:
        self._folder, self._ledger, self._milestones, self._progress = folder, ledger, milestones, progress
        self._log, self._watch = log, watch
        self._alike: list[str] = []
        self._last: dict[str, TrialReport] = {}
        self._stop = stop

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its components into a file that is never read back."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:  # noqa: ANN401
        """Check for a stall."""
        self._watch.look(trials)
        if self._watch.stalled:
            self._stop.give("stalled")

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ANN401
        """Record that a process has started a trial."""
        name = trial.config["trial"]
        self._ledger.append(Started(trial=name, time=now()))
        self._log.info("%s started", name)
        self._progress.started(name, self._ledger.state)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,  # noqa: ANN401
    ) -> None:
        """Record a rung or an end; the row of an end also holds the last epoch's bound."""
        report = read_report(result)
        self._last[report.trial] = report
        if report.note:
            self._log.info("%s %s", report.trial, report.note)
            self._progress.message(f"{report.trial} {report.note}")
        if report.status == "interrupted":
            if report.error:  # else it was asked to end; either way it stays unfinished, to resume later
                self._log.error("%s: %s", report.trial, report.error)
                self._stop.give("full disk", report.error)
            return
        if report.status == "waiting":  # to Tune the trial has ended, so it does not ask the scheduler
            if self._folder.take_stop_request(report.trial):
                self._finish(report.finished("stopped"))
            else:
                self._rung(report)
            return
        if result["done"]:
            self._finish(report.finished("stopped" if report.status == "running" else report.status))
            return
        if report.epoch in self._milestones:
            self._rung(report)
        else:
            self._progress.epoch(report, self._ledger.state)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ANN401
        """Report that a trial lost its process and continues in another."""
        text = (
            f"{trial.config['trial']} lost its process and continues in a new one: {_error_of(trial).splitlines()[-1]}"
        )
        self._log.warning("%s", text)
        self._progress.message(text)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ANN401
        """Record a trial that failed more often than Tune retries."""
        name, error = trial.config["trial"], _error_of(trial)
        row = Finished(trial=name, status="failed", epochs=0, seconds=0.0, gpu_seconds=0.0, error=error, time=now())
        if (last := self._last.get(name)) is not None:
            row = last.model_copy(update={"error": error}).finished("failed")
        self._finish(row)

    def _rung(self, report: TrialReport) -> None:
        if any(rung.epoch == report.epoch for rung in self._ledger.state.named[report.trial].rungs):
            return  # a trial that resumes from a rung's checkpoint reports the rung again
        value = report.validation_negative_elbo
        self._ledger.append(Rung(trial=report.trial, epoch=report.epoch, value=value, time=now()))
        self._progress.epoch(report, self._ledger.state)

    def _finish(self, row: Finished) -> None:
        row = row.model_copy(update={"error": row.error[-_ERROR_CHARACTERS:]})
        self._last.pop(row.trial, None)
        self._ledger.append(row)
        self._folder.take_stop_request(row.trial)  # came too late, and must not stop a retry of the trial
        level, said = logging.ERROR if row.status == "failed" else logging.INFO, f": {row.error}" if row.error else ""
        self._log.log(level, "%s %s after %s%s", row.trial, row.status, counted(row.epochs, "epoch"), said)
        self._progress.finished(row, self._ledger.state)
        self._count_failures(row.status, row.error)

    def _count_failures(self, status: EndStatus, error: str) -> None:
        self._alike = [*self._alike, where(error)] if status == "failed" else []
        latest = self._alike[-_IDENTICAL:]
        if len(latest) == _IDENTICAL and len(set(latest)) == 1:
            self._stop.give("aborted", "several trials in a row failed in the same way", error=error)


def where(error: str) -> str:
    """Return the code locations in a traceback, without its message, whose numbers differ from trial to trial."""
    places = [line.strip() for line in error.splitlines() if line.lstrip().startswith("File ")]
    return "\n".join(places) or error


def _error_of(trial: Trial) -> str:
    """Return the last failure's text from the file that Tune wrote in this process; its pickle is not loaded."""
    path = trial.error_file
    text = Path(path).read_text(encoding="utf-8", errors="replace").strip() if path and Path(path).exists() else ""
    return text.rsplit("Failure #", 1)[-1].strip() or "the trial's process died"
