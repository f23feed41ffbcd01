"""One trial of a sweep in its run folder, one epoch per step; a trial that ends badly reports it, without an error."""

import gc
import math
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages
from iafsweep.records import TrainingFacts
from iafsweep.run_files import metrics_file
from iafsweep.sweep.cluster.device import TakeDevice, is_transient, take_device
from iafsweep.sweep.cluster.footprint import is_out_of_room
from iafsweep.sweep.storage.folder import TRIAL_SECONDS, SweepFolder
from iafsweep.sweep.storage.trial_report import Status, TrialReport, bound_of
from iafsweep.training import DivergedError, RunFolder, Trainer, device_name
from iafsweep.training.device import give_freed_memory_back, is_out_of_memory

_LOOK_SECONDS = 1.0
"""Interval at which a trial checks between training steps whether it should end; Tune kills it after ten seconds."""

OpenTrainer = Callable[[RunConfig, TrainingImages, Path, torch.device], tuple[Trainer, str]]
"""Starts or resumes the run in a folder; returns the trainer and a note for the sweep's log."""


class _AskedToEndError(Exception):
    """The trial should end between two steps."""

    def __init__(self, status: Literal["interrupted", "stopped"]) -> None:
        super().__init__(status)
        self.status: Literal["interrupted", "stopped"] = status


@dataclass(frozen=True)
class TrialSettings:
    """What all trials of a sweep share.

    Attributes:
        folder: the sweep folder.
        cpus: CPU cores per trial, and its number of threads.
        milestones: epochs after which the scheduler may stop a trial; the trial saves before it reports them.
        until: epoch after which a trial waits for the other members of its population; None: it never waits.
        plugins: plugins of the driver, which the trial's process loads too.
        open_trainer: opens the trainer of a run folder.
        take_device: finds the device of a trial.
    """

    folder: Path
    cpus: int
    milestones: tuple[int, ...]
    open_trainer: OpenTrainer
    take_device: TakeDevice = take_device
    until: int | None = None
    plugins: tuple[str, ...] = ()


def open_trainer(config: RunConfig, images: TrainingImages, path: Path, device: torch.device) -> tuple[Trainer, str]:
    """Resume from the run folder's ``last.pt``; without one (killed before its first checkpoint) start from scratch."""
    folder = RunFolder(path)
    if folder.last.exists():
        trainer = Trainer.resume(config, images, folder, device)
        return trainer, _notes(f"continues after {trainer.reached}", trainer.note)
    note = "was interrupted before its first checkpoint; starts from scratch" if folder.clear() else ""
    trainer = Trainer.start(config, images, folder, device)
    return trainer, _notes(note, trainer.note)


def _notes(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


class TrialRun:
    """One trial in its run folder, which holds all the state that it resumes from.

    Attributes:
        trainer: the open run; None before the first step and after the last.
        note: what the next report should add to the sweep's log.
    """

    def __init__(
        self, trial: str, config: RunConfig, gpus: float, images: TrainingImages, settings: TrialSettings
    ) -> None:
        self.trial = trial
        self.config = config
        self.trainer: Trainer | None = None
        self.note = ""
        self._gpus, self._images, self._settings = gpus, images, settings
        self._held = ExitStack()
        self._device = torch.device("cpu")  # until the first step takes the real one
        self._device_name = ""
        self._is_open = False
        self._goes_on = False
        self._looked = 0.0
        self._last_bound: float | None = None

    def step(self) -> TrialReport:
        """Train one epoch and report it, opening the run first if needed; the last report says how the trial ended.

        When asked to end, the trial ends after the current training step and saves its state.

        Raises:
            OSError, RuntimeError: a file or the GPU failed; a new process may succeed.
        """
        status, error = self._next()
        report = self._report(status, error)
        if status != "running":  # outside all handlers, whose tracebacks keep the model and its tensors alive
            self._put_away()
        return report

    def save(self) -> None:
        """Save the last whole epoch, if the run is open."""
        if self.trainer is not None:
            self.trainer.save()

    def close(self) -> str:
        """Save and close a trial that was stopped from outside; return what went wrong in doing so, else empty."""
        if self.trainer is None:
            self._held.close()
            return ""
        problem = ""
        try:
            self.trainer.finish("interrupted")
        except Exception as error:  # noqa: BLE001 - whatever it is, the ledger has that trial's figures already
            problem = f"runs in a process whose previous trial could not be closed: {error!r}"
        self.trainer = None
        self._free()
        return problem

    def _open(self) -> None:
        settings = self._settings
        self._device = settings.take_device(self._gpus)
        torch.set_num_threads(settings.cpus)
        self._device_name = device_name(self._device)
        folder = SweepFolder(settings.folder)
        self._held.enter_context(folder.trial_lock(self.trial, TRIAL_SECONDS))
        path = folder.trial(self.trial)
        self.trainer, note = settings.open_trainer(self.config, self._images, path, self._device)
        self.note = _notes(self.note, note)
        self._last_bound = _last_bound(RunFolder(path), self.trainer.epochs_done)
        self._is_open = True
        self._goes_on = self.trainer.epochs_done > 0

    def _next(self) -> tuple[Status, str]:
        """Open the trial if needed and train an epoch; return its status, and the error that ended it."""
        try:
            if not self._is_open:
                self._open()
            return self._epoch(), ""
        except DivergedError as error:
            return "diverged", str(error)
        except Exception as error:
            if is_out_of_memory(error):
                return "oom", str(error).partition("\n")[0] or repr(error)
            if is_out_of_room(error):
                return "interrupted", f"no space left on the disk: {error}"
            if is_transient(error):
                self._abandon()
                raise
            return "failed", "".join(traceback.format_exception(error))

    def _epoch(self) -> Literal["running", "completed", "waiting", "interrupted", "stopped"]:
        trainer = self.trainer
        assert trainer is not None
        until = self._settings.until
        goes_on, self._goes_on = self._goes_on, False
        if goes_on and trainer.epochs_done in self._settings.milestones and not trainer.is_done:
            # It was killed after saving here, perhaps before the scheduler decided; this branch is taken only once.
            return "running"
        if not trainer.is_done and (until is None or trainer.epochs_done < until):
            try:
                self._last_bound = trainer.run_epoch(self._look).validation_negative_elbo
            except _AskedToEndError as asked:
                trainer.interrupt()
                return asked.status
        if trainer.is_done:
            self.note = _notes(self.note, trainer.end_note)
            trainer.finish()
            return "completed"
        if until is not None and trainer.epochs_done >= until:
            trainer.save()
            return "waiting"
        if trainer.epochs_done in self._settings.milestones:
            trainer.save()
        return "running"

    def _look(self, images: int) -> None:
        """Between two training steps, end here if the sweep ends or the user stops this trial."""
        if time.monotonic() < self._looked + _LOOK_SECONDS:
            return
        self._looked, folder = time.monotonic(), SweepFolder(self._settings.folder)
        if folder.end_trials.exists():
            raise _AskedToEndError("interrupted")
        if folder.trial_stop_request(self.trial).exists():
            raise _AskedToEndError("stopped")

    def _put_away(self) -> None:
        """Release everything, so that the next trial finds its GPU empty."""
        if self.trainer is not None:
            with suppress(OSError):  # a full disk; nothing relies on what was not written
                self.trainer.close()
        self.trainer = None
        self._is_open = True
        self._free()

    def _report(self, status: Status, error: str) -> TrialReport:
        state = None if self.trainer is None else self.trainer.state
        best = None if state is None else state.best
        note, self.note = self.note, ""
        failed = status not in ("running", "waiting", "completed", "stopped") or state is None
        return TrialReport(
            trial=self.trial,
            status=status,
            epoch=0 if state is None else state.epochs,
            epochs=self.config.training.epochs,
            validation_negative_elbo=math.inf if failed or state is None else bound_of(state, self._last_bound),
            best_epoch=None if best is None else best.epoch,
            best_value=None if best is None else best.validation_negative_elbo,
            **(TrainingFacts(seconds=0.0, compile_seconds=0.0) if state is None else state.facts).model_dump(),
            gpus=self._gpus,
            device=self._device_name,
            error=error,
            note=note,
        )

    def _abandon(self) -> None:
        """Leave the run folder in a consistent state for the process in which Tune retries the trial."""
        trainer, self.trainer = self.trainer, None
        if trainer is not None:
            with suppress(Exception):  # most likely the same fault again; the checkpoints on disk are intact
                trainer.interrupt()
        self._held.close()

    def _free(self) -> None:
        self._held.close()
        gc.collect()
        gc.freeze()  # what a trial leaves behind is imports, which need no scan after the next trial
        give_freed_memory_back()
        if self._device.type == "cuda" and torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def _last_bound(folder: RunFolder, epochs_done: int) -> float | None:
    """Return the validation bound of a resumed run's last epoch; None if it is not recorded."""
    if not epochs_done or not folder.metrics.exists():
        return None
    rows = metrics_file.read(folder.metrics)
    return rows[-1].validation_negative_elbo if rows and rows[-1].epoch == epochs_done else None
