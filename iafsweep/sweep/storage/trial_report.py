"""What a trial reports after every epoch: one schema, always complete."""

import math
from typing import Any, Literal

from iafsweep.records import METRIC, RunState, TrainingFacts
from iafsweep.sweep.storage.events import EndStatus, Finished, now

Status = Literal["running", "interrupted", "waiting"] | EndStatus


class TrialReport(TrainingFacts):
    """State of a trial after an epoch, or at its end.

    Tune raises, and ends the whole sweep, if a metric it compares is missing once; so every report has every field.

    Attributes:
        trial: the trial's name.
        status: ``running``; how it ended; ``interrupted``: paused through no fault of its own; or ``waiting``: paused
            until the other members of its population have come as far.
        epoch: epochs trained.
        epochs: epochs to train.
        validation_negative_elbo: validation bound of the last epoch, nats per image; infinite if there is none.
        best_epoch: the best epoch so far.
        best_value: its validation bound.
        gpus: GPUs of the trial.
        device: where it trains.
        error: what went wrong.
        note: a message for the sweep's log.
    """

    trial: str
    status: Status
    epoch: int
    epochs: int
    validation_negative_elbo: float
    best_epoch: int | None
    best_value: float | None
    compile_seconds: float = 0.0
    gpus: float
    device: str
    error: str = ""
    note: str = ""

    def result(self) -> dict[str, Any]:
        """Return the report as a result for Tune."""
        return {**self.model_dump(), "training_iteration": self.epoch, "done": self.status != "running"}

    def finished(self, status: EndStatus) -> Finished:
        """Return the ledger row of a trial that ended with this report."""
        bound, spent = self.validation_negative_elbo, self.seconds * self.gpus
        alike = {"trial", "best_epoch", "best_value", "device", "error", *TrainingFacts.model_fields}
        told = {"status": status, "epochs": self.epoch, "value": bound if math.isfinite(bound) else None}
        return Finished(**self.model_dump(include=alike), **told, gpu_seconds=spent, time=now())


def read_report(result: dict[str, Any]) -> TrialReport:
    """Return the report inside a result from Tune, which adds fields of its own."""
    return TrialReport.model_validate({name: result[name] for name in TrialReport.model_fields})


def bound_of(state: RunState, last: float | None) -> float:
    """Return the validation bound to report: the last epoch's, else the best known, else infinity."""
    if last is not None:
        return last
    return state.best.validation_negative_elbo if state.best is not None else math.inf


assert METRIC in TrialReport.model_fields
