"""A trial: the one trainer as Tune drives it, an epoch a step."""

from __future__ import annotations

import gc
import math
import traceback
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from ray import tune

from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.cluster.device import TakeDevice, is_transient, take_device, tensor_over
from iafsweep.sweep.cluster.disk import is_out_of_room
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.trial_report import Status, TrialReport, bound_of
from iafsweep.sweep.tune.trial_run import OpenTrainer, RunningTrainer
from iafsweep.training import DivergedError, device_name
from iafsweep.training.host_memory import give_freed_memory_back
from iafsweep.training.memory import is_out_of_memory

_LOCK_SECONDS = 20.0


@dataclass(frozen=True)
class TrialSettings:
    """What all trials of a sweep share.

    Attributes:
        folder: the sweep folder.
        cpus: CPU cores of a trial, which are its threads.
        milestones: epochs after which the scheduler may stop it; it saves before it reports them.
        until: epoch after which it waits for the other members of its population; None: it never does.
        open_trainer: opens the trainer of a run folder.
        take_device: finds the device of a trial.
    """

    folder: Path
    cpus: int
    milestones: tuple[int, ...]
    open_trainer: OpenTrainer
    take_device: TakeDevice = take_device
    until: int | None = None


class SweepTrial(tune.Trainable):
    """One trial after the other in one process, each in its own run folder.

    The run folder is all there is to go on from: Tune's checkpoints hold nothing. Whatever can fail happens inside
    :meth:`step`, because Tune loses a trial whose process fails while it is being reset for it.

    Its configuration is ``{"trial": name, "config": RunConfig as JSON, "gpus": number}``.
    """

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], training: np.ndarray, validation: np.ndarray, settings: TrialSettings
    ) -> None:
        """Take what all trials share; nothing is opened before the first step.

        Args:
            config: the trial's name and configuration.
            training: uint8 images, shared memory.
            validation: uint8 images, shared memory.
            settings: what all trials of the sweep share.
        """
        self._images = TrainingImages(tensor_over(training), tensor_over(validation))
        self._settings = settings
        self._held = ExitStack()
        gc.freeze()  # what is imported stays; looking through it again after every trial takes a fifth of a second
        self._trainer: RunningTrainer | None = None
        self._assign(config)
        self._device = torch.device("cpu")  # until the first step takes the real one
        self._device_name = ""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial; the one before is put away in the first step."""
        self._assign(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch and report it; the last report of a trial says how it ended.

        Raises:
            OSError, RuntimeError: a file or the GPU failed, which may go better in a new process; Tune tries again.
        """
        status, error = self._next()
        report = self._report(status, error)
        if status != "running":  # out of all handlers, whose tracebacks hold the model and what it had computed
            self._put_away()
        return report.result()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save into the run folder; the folder Tune gives holds only the trial's name."""
        if self._trainer is not None:
            self._trainer.save()
        (Path(checkpoint_dir) / "trial.txt").write_text(self._trial, encoding="utf-8")

    def load_checkpoint(self, checkpoint: object) -> None:
        """Nothing to do: the first step goes on from the run folder."""

    def cleanup(self) -> None:
        """Save and close what is open; called when the process ends in peace."""
        self._release()

    def _assign(self, config: dict[str, Any]) -> None:
        self._trial = str(config["trial"])
        self._config = RunConfig.model_validate_json(config["config"])
        self._gpus = float(config["gpus"])  # a process is given trials with the same demands alone
        self._is_open = False
        self._goes_on = False
        self._note = ""
        self._last_bound: float | None = None

    def _open(self) -> None:
        settings = self._settings
        self._device = settings.take_device(self._gpus)
        torch.set_num_threads(settings.cpus)
        self._device_name = device_name(self._device)
        folder = SweepFolder(settings.folder)
        # A process that outlived its driver holds it for some seconds more.
        self._held.enter_context(folder.trial_lock(self._trial, _LOCK_SECONDS))
        path = folder.trial(self._trial)
        self._trainer, note = settings.open_trainer(self._config, self._images, path, self._device)
        self._note = "; ".join(part for part in (self._note, note) if part)
        self._last_bound = _last_bound(RunFolder(path), self._trainer.epochs_done)
        self._is_open = True
        self._goes_on = self._trainer.epochs_done > 0

    def _next(self) -> tuple[Status, str]:
        """Open the trial if need be and train an epoch; return what became of it, and the error that ended it."""
        try:
            if not self._is_open:
                self._release()
                self._open()
            return self._epoch(), ""
        except DivergedError as error:
            return "diverged", str(error)
        except Exception as error:
            if is_out_of_memory(error):
                return "oom", str(error).partition("\n")[0] or repr(error)
            if is_out_of_room(error):
                return "interrupted", f"no room on the disk: {error}"
            if is_transient(error):
                self._abandon()
                raise
            return "failed", "".join(traceback.format_exception(error))

    def _epoch(self) -> Literal["running", "completed", "waiting"]:
        trainer = self._trainer
        assert trainer is not None
        epochs, until = trainer.config.training.epochs, self._settings.until
        goes_on, self._goes_on = self._goes_on, False
        if goes_on and trainer.epochs_done in self._settings.milestones and trainer.epochs_done < epochs:
            # It was killed after it saved here, maybe before the scheduler could decide, and passes here only once.
            return "running"
        if trainer.epochs_done < min(epochs, until or epochs):
            self._last_bound = trainer.run_epoch().validation_negative_elbo
        if trainer.epochs_done >= epochs:
            trainer.finish()
            return "completed"
        if until is not None and trainer.epochs_done >= until:
            trainer.save()
            return "waiting"
        if trainer.epochs_done in self._settings.milestones:
            trainer.save()
        return "running"

    def _put_away(self) -> None:
        """Let go of everything, so that the next trial finds its GPU empty."""
        if self._trainer is not None:
            with suppress(OSError):  # a full disk; what was not written is not counted on
                self._trainer.close()
        self._trainer = None
        self._is_open = True
        self._free()

    def _report(self, status: Status, error: str) -> TrialReport:
        state = None if self._trainer is None else self._trainer.state
        best = None if state is None else state.best
        note, self._note = self._note, ""
        failed = status not in ("running", "waiting", "completed") or state is None
        return TrialReport(
            trial=self._trial,
            status=status,
            epoch=0 if state is None else state.epochs,
            epochs=self._config.training.epochs,
            validation_negative_elbo=math.inf if failed or state is None else bound_of(state, self._last_bound),
            best_epoch=None if best is None else best.epoch,
            best_value=None if best is None else best.validation_negative_elbo,
            seconds=0.0 if state is None else state.seconds,
            gpus=self._gpus,
            device=self._device_name,
            precision=None if state is None else state.precision,
            compiled=None if state is None else state.compiled,
            compile_seconds=0.0 if state is None else state.compile_seconds,
            parameters=None if state is None else state.parameters,
            error=error,
            note=note,
        )

    def _release(self) -> None:
        """Save and close a trial that was stopped from outside; a fault in that is not the next trial's."""
        if self._trainer is None:
            self._held.close()
            return
        try:
            self._trainer.finish("interrupted")
        except Exception as error:  # noqa: BLE001 - whatever it is, the ledger has that trial's figures already
            self._note = f"the trial before it in this process could not be put away: {error!r}"
        self._trainer = None
        self._free()

    def _abandon(self) -> None:
        """Leave the run folder, as of the last complete epoch, to the process in which Tune tries again."""
        trainer, self._trainer = self._trainer, None
        if trainer is not None:
            with suppress(Exception):  # most likely the fault at hand again; the checkpoints on disk are whole
                trainer.interrupt()
        self._held.close()

    def _free(self) -> None:
        self._held.close()
        gc.collect()
        gc.freeze()  # what a trial leaves behind are imports; they need not be looked through after the next one
        give_freed_memory_back()
        if self._device.type == "cuda" and torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def _last_bound(folder: RunFolder, epochs_done: int) -> float | None:
    """Return the bound of the last epoch of a run that goes on; None when nothing tells of it."""
    if not epochs_done or not folder.metrics.exists():
        return None
    rows = metrics_file.read(folder.metrics)
    return rows[-1].validation_negative_elbo if rows and rows[-1].epoch == epochs_done else None
