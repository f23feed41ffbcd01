"""The trainer, used by ``run_single.py`` and by every trial of a sweep."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from iafsweep.config import RunConfig, dump_config
from iafsweep.data import TrainingImages, seen_in_training
from iafsweep.data.fingerprint import refuse_other_images
from iafsweep.errors import RunFolderError
from iafsweep.models import VAE, build_model, count_parameters
from iafsweep.models.weight_norm import start_from_data
from iafsweep.records import Best, EpochMetrics, RunState, RunStatus, bits_per_dim
from iafsweep.records.trust import (
    FEW_IMAGES,
    LAGGING,
    OVERFITS,
    WARMED_UP_VAMP,
    apart_remark,
    are_apart,
    is_unsettled,
    settling_of,
    unsettled_remark,
)
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.texts import counted
from iafsweep.training import checkpoint as checkpoints
from iafsweep.training.averaging import WeightAverage
from iafsweep.training.batches import EpochBatches, batch_count
from iafsweep.training.checkpoint import BestWeights, Checkpoint, StepCheckpoint, on_cpu
from iafsweep.training.comparison import refuse_foreign_checkpoint, refuse_lost_best, refuse_other_training
from iafsweep.training.computing import Computing, choose_computing
from iafsweep.training.device import device_name, keep_freed_memory
from iafsweep.training.gradient import objective_in
from iafsweep.training.objective import ValidationSet
from iafsweep.training.optimiser import make_optimiser
from iafsweep.training.pictures import Pictures, is_drawn
from iafsweep.training.run_log import RunLog
from iafsweep.training.schedules import has_stopped_early, kl_weight, learning_rate, never_reached
from iafsweep.training.step import NORM_EVERY, SUMS, TrainingStep


class DivergedError(Exception):
    """The loss or the validation bound is not finite; the last good checkpoint is kept."""

    def __init__(self, metrics: EpochMetrics) -> None:
        super().__init__(
            f"diverged in epoch {metrics.epoch}: training loss {metrics.train_loss}, "
            f"validation bound {metrics.validation_negative_elbo}"
        )
        self.metrics = metrics


class _Epoch(NamedTuple):
    """An epoch in progress; the last two fields are as if all of it had been trained in this process."""

    batches: EpochBatches
    sums: Tensor  # sums of the step's figures over the batches done, [5], on the device
    began: float
    compiled_before: float


class Trainer:
    """Trains one configuration epoch by epoch in its run folder.

    ``bounds_note`` warns if the validation bound of the best epoch is far above its training bound; else it is empty.

    All randomness of an epoch (order of images, binarisation, posterior noise) is a function of the training seed and
    the epoch number, so that a run that was interrupted or killed at any step resumes exactly as if it had not been. An
    incomplete last batch is left out; its images differ from epoch to epoch.
    """

    def __init__(
        self,
        config: RunConfig,
        images: TrainingImages,
        folder: RunFolder,
        device: torch.device,
        saved: Checkpoint | None = None,
    ) -> None:
        """Build the model and its optimiser, from a checkpoint if given; use `start` or `resume` instead."""
        keep_freed_memory(device)
        self.config = config
        self.folder = folder
        self.device = device
        self.images = images.to(device)
        self._kept, self._see = seen_in_training(self.images.training, config.data)
        self._fingerprints = images.fingerprints
        self.model: VAE = build_model(config.model, config.image_format, config.training.seed).to(device)
        self.optimiser = make_optimiser(self.model, config.training)
        self._average = WeightAverage(self.model, config.training) if config.training.weight_average else None
        self.epochs_done = 0
        self.best: Best | None = None
        self.seconds = 0.0
        self.bounds_note = ""
        self._is_new = saved is None
        earlier = None
        if saved is not None:
            checkpoints.restore(saved, self.model, self.optimiser, self._average and self._average.model, folder)
            self._reached(saved)
            earlier = Computing(saved.precision, saved.compiled)
        computing = choose_computing(config, self.model, device, earlier)
        self._step = self._make_step(computing, saved.compile_seconds if saved else 0.0)
        # The last whole epoch while it is not on disk, with the best weights that best.pt does not have yet. Replaced
        # in one assignment, so that an interrupt finds the previous epoch or the new one, never a mixture.
        self._unsaved: tuple[Checkpoint, BestWeights | None] | None = None
        # Where to continue within the next epoch (the weights are in the model), and the epoch left between two steps.
        self._begun = (
            replace(saved, model={}, optimiser={}, average=None) if isinstance(saved, StepCheckpoint) else None
        )
        self._left: _Epoch | None = None
        self._postpone()
        self._validation = ValidationSet.of(images, config, device)
        self._pictures = Pictures(config, images, folder, device)

    @classmethod
    def start(cls, config: RunConfig, images: TrainingImages, folder: RunFolder, device: torch.device) -> Trainer:
        """Start a new run in an empty or new folder.

        Raises:
            RunFolderError: the folder is not empty or cannot be written.
        """
        folder.refuse_used()
        trainer = cls(config, images, folder, device)  # a model too large for memory leaves no folder
        folder.create(config)
        trainer._pictures.draw_data()
        folder.metrics.touch()
        if config.model.normalisation == "weight_norm":
            trainer._start_from_data()
        # So that a run killed within its first epoch can resume too.
        trainer._unsaved = trainer._checkpoint(0, None, 0.0), None
        trainer.save()
        trainer._open(f"started on {trainer.place}, {trainer.parameters:,} parameters")
        return trainer

    def _start_from_data(self) -> None:
        """Set the weight lengths from the first batch of the first epoch, which is also the first one trained on."""
        training = self.config.training
        size, seed = training.batch_size, training.seed
        batches = EpochBatches(self._kept, size, self.model.latent_size, seed, self.epochs_done, see=self._see)
        first = next(batches)
        start_from_data(self.model, first.x, first.noise)
        if self._average is not None:
            self._average.model.load_state_dict(self.model.state_dict())

    @classmethod
    def resume(cls, config: RunConfig, images: TrainingImages, folder: RunFolder, device: torch.device) -> Trainer:
        """Resume from ``last.pt``, or from ``step.pt`` if it is of the next epoch; later metrics are cut.

        The configuration may differ in the fields that `refuse_other_training` allows, such as the number of epochs.

        Raises:
            DataError: it was trained or validated on other images.
            RunFolderError: there is no checkpoint, it or the metrics are damaged, the best epoch's checkpoint is needed
                at the end but missing or damaged, or the configuration differs.
        """
        refuse_other_training(folder.read_config(), config, folder)
        known = folder.read_fingerprints()
        refuse_other_images(folder.path, known, images.fingerprints)
        saved = checkpoints.load_last(folder, device)
        refuse_foreign_checkpoint(saved.config, config, folder)
        if saved.epoch > config.training.epochs:
            raise RunFolderError(
                f"{folder.path} has already trained {counted(saved.epoch, 'epoch')}, more than training.epochs = "
                f"{config.training.epochs}; set it to at least {saved.epoch}"
            )
        if config.evaluation.checkpoint == "best":
            refuse_lost_best(folder, saved, config)
        checkpoints.settle_best(folder)
        metrics_file.cut(folder.metrics, saved.epoch)
        folder.rewrite_config(config)
        begun, remark = None, ""
        try:
            if saved.epoch < config.training.epochs and (begun := checkpoints.load_step(folder, saved, device)):
                refuse_foreign_checkpoint(begun.config, config, folder)
        except RunFolderError as error:
            begun, remark = None, f"{error}; the epoch starts again from its first batch"
        if begun is None:
            folder.step.unlink(missing_ok=True)
        trainer = cls(config, images, folder, device, begun or saved)
        trainer._fingerprints = known | images.fingerprints
        trainer._write_state("running")
        trainer._open(f"resumed after {trainer.reached} on {trainer.place}")
        if remark:
            trainer._log.warn(remark)
        if saved.threads != torch.get_num_threads() and device.type == "cpu":
            trainer._log.warn(
                f"trained with {counted(saved.threads, 'thread')} before and with {torch.get_num_threads()} now; "
                f"figures may differ in the last digits"
            )
        return trainer

    @property
    def parameters(self) -> int:
        """Trainable parameters of the model."""
        return count_parameters(self.model)

    @property
    def scored(self) -> VAE:
        """The model that is validated, scored and sampled: the one with averaged weights, if there is one."""
        return self.model if self._average is None else self._average.model

    @property
    def is_done(self) -> bool:
        """Whether all requested epochs are trained, or training has stopped early."""
        return self.epochs_done >= self.config.training.epochs or self._stops_early

    @property
    def end_note(self) -> str:
        """The reason why training ended before the last requested epoch; empty if it did not."""
        if self.epochs_done >= self.config.training.epochs or not self._stops_early or self.best is None:
            return ""
        best = self.best.epoch
        return f"stopped early after epoch {self.epochs_done}: the validation bound has not fallen since epoch {best}"

    @property
    def place(self) -> str:
        """Device, precision and compilation, such as ``cpu (2 threads), float32, not compiled``."""
        return f"{device_name(self.device)}, {self._step.computing.description}"

    @property
    def note(self) -> str:
        """What the user should know about the run before it trains; empty if nothing."""
        notes = [self._step.computing.note, _unsettled(self.config, len(self.images.training))]
        if self._is_new:  # a run that resumes can no longer change its warm-ups
            drifts = self.config.model.prior.kind == "vamp" and self.config.training.kl_warmup_epochs > 0
            notes += [never_reached(self.config.training), WARMED_UP_VAMP if drifts else ""]
        return "; ".join(filter(None, notes))

    @property
    def batches_begun(self) -> int:
        """Batches done in the epoch that was left between two steps."""
        if self._begun is not None:
            return self._begun.batches
        return 0 if self._left is None else self._left.batches.done

    @property
    def reached(self) -> str:
        """Progress so far, such as ``epoch 3`` or ``epoch 3 plus 4 of 7 batches of the next``."""
        begun = f" plus {self.batches_begun} of {self._batches} batches of the next" if self.batches_begun else ""
        return f"epoch {self.epochs_done}{begun}"

    @property
    def state(self) -> RunState:
        """The state of the run, with status ``running``."""
        return self._state("running")

    def run_epoch(self, progress: Callable[[int], None] | None = None) -> EpochMetrics:
        """Train one epoch, measure the validation bound, and save what is due.

        Args:
            progress: called after every batch with its number of images; if it raises, the epoch ends between two
                steps, and `interrupt` can save it there.

        Raises:
            DivergedError: the loss or the validation bound is not finite.
        """
        if self._checkpoint_is_due(self.epochs_done):
            self.save()  # usually saved already; if that failed, save before training changes the weights
        epoch, note = self._begin(), self.note
        sums = self._train(epoch, progress)
        compiling = self._step.compile_seconds - epoch.compiled_before
        seconds = time.perf_counter() - epoch.began - compiling
        metrics = self._metrics(sums, epoch.batches.done, seconds, epoch.began)
        if self.note != note:
            self._log.warn(self.note)
        metrics_file.append(self.folder.metrics, metrics)
        self._log.curves.add_metrics(metrics)
        if not _is_finite(metrics):
            self._write_kept()
            self.folder.step.unlink(missing_ok=True)
            self.seconds += metrics.seconds
            self._write_state("diverged")
            self._log.error(f"diverged in epoch {metrics.epoch}")
            raise DivergedError(metrics)
        self._keep(metrics)
        self._log.add_epoch(metrics)
        if is_drawn(metrics.epoch):
            self._pictures.draw(self.scored, metrics.epoch, self._log.curves)
        if self._checkpoint_is_due(metrics.epoch):
            self.save()
        return metrics

    def save(self) -> None:
        """Write the checkpoints and ``state.json`` of the last whole epoch, unless they are on disk already."""
        if self._write_kept():
            self._write_state("running")

    def finish(self, status: RunStatus = "completed") -> None:
        """Save, draw the pictures, write the final state and close all files."""
        self.save()
        self._pictures.draw(self.scored, self.epochs_done, self._log.curves)
        self._log.curves.add_end(self.best, self.epochs_done, completed=status == "completed")
        self._write_state(status)
        if self.bounds_note:
            self._log.warn(self.bounds_note)
        if status == "completed" and self.end_note:
            self._log.say(self.end_note)
        self._log.say(f"{status} after epoch {self.epochs_done}")
        self.close()

    def interrupt(self) -> None:
        """Save the training progress, mark the run as interrupted and close all files.

        An epoch that was left between two steps is saved as of the last of them. In the middle of a step the weights
        are inconsistent and not saved; the run then resumes from the last whole epoch and any ``step.pt`` on disk.
        """
        self._write_kept()
        if self._left is not None:
            self._save_step(self._left)
        self._write_state("interrupted")
        self._log.say(f"interrupted after {self.reached}")
        self.close()

    def close(self) -> None:
        """Close the log and the event file and release compiled code; unsaved progress is lost."""
        self._step.close()
        self._log.close()

    def _open(self, line: str) -> None:
        self.folder.remove_leftovers()
        self._log = RunLog(self.folder, self.config, self.epochs_done, line, self.note)

    def _keep(self, metrics: EpochMetrics) -> None:
        """Keep the epoch just trained in memory until it is written."""
        best, new_best = self.best, None
        bound = metrics.validation_negative_elbo
        if bound is not None and (best is None or bound < best.validation_negative_elbo):
            best = Best(epoch=metrics.epoch, validation_negative_elbo=bound)
            weights = {name: tensor.detach().clone() for name, tensor in self.scored.state_dict().items()}
            new_best = BestWeights(dump_config(self.config), metrics.epoch, weights)
            training = metrics.train_negative_elbo
            apart = are_apart(training, bound)
            self.bounds_note = apart_remark(training, bound, *_apart_causes(self.config)) if apart else ""
        last = self._checkpoint(metrics.epoch, best, self.seconds + metrics.seconds)
        if not self._checkpoint_is_due(metrics.epoch):  # training continues before it is written
            states = {name: on_cpu(getattr(last, name)) for name in ("model", "optimiser", "average")}
            last = replace(last, **states)
        if new_best is None and self._unsaved is not None:
            new_best = self._unsaved[1]
        self._unsaved = last, new_best
        self._reached(last)

    def _checkpoint(self, epoch: int, best: Best | None, seconds: float) -> Checkpoint:
        """Return a checkpoint of the current state; it shares its tensors with the training."""
        return Checkpoint(
            config=dump_config(self.config),
            epoch=epoch,
            model=self.model.state_dict(),
            optimiser=self.optimiser.state_dict(),
            best=best,
            seconds=seconds,
            threads=torch.get_num_threads(),
            device=self.device.type,
            torch_version=str(torch.__version__),
            precision=self._step.computing.precision,
            compiled=self._step.computing.compiled,
            compile_seconds=self._step.compile_seconds,
            average=None if self._average is None else self._average.model.state_dict(),
        )

    def _reached(self, last: Checkpoint) -> None:
        self.epochs_done, self.best, self.seconds = last.epoch, last.best, last.seconds

    def _write_kept(self) -> bool:
        """Write the last whole epoch, if it is not on disk yet; return whether it was written.

        After an interrupt or on a full disk, it remains to be written.
        """
        if (unsaved := self._unsaved) is None:
            return False
        checkpoints.save(self.folder, *unsaved)
        self._unsaved = None
        self._reached(unsaved[0])  # again, because an interrupt may have come before _keep did it
        self._postpone()
        return True

    def _save_step(self, epoch: _Epoch) -> None:
        """Save the last whole epoch, then the next epoch as of its last step."""
        self.save()
        sums = epoch.sums.cpu()  # waits for the device, so that the time taken is right
        saved = StepCheckpoint(
            **vars(self._checkpoint(self.epochs_done, self.best, self.seconds)),
            batches=epoch.batches.done,
            sums=sums,
            draws=epoch.batches.draws(),
            elapsed=time.perf_counter() - epoch.began,
            compiling=self._step.compile_seconds - epoch.compiled_before,
        )
        checkpoints.save_step(self.folder, saved)
        self._postpone()

    def _postpone(self) -> None:
        """Schedule the next checkpoint within an epoch, ``checkpoint_every_minutes`` from now."""
        self._due = time.monotonic() + 60 * self.config.training.checkpoint_every_minutes

    def _begin(self) -> _Epoch:
        """Begin the next epoch, or continue it where it was left."""
        began, begun, self._begun, self._left = time.perf_counter(), self._begun, None, None
        training = self.config.training
        if objective_in(training, self.epochs_done) != self._step.objective:
            self._step.close()
            self._step = self._make_step(self._step.computing, self._step.compile_seconds)
        batches = EpochBatches(
            self._kept,
            training.batch_size,
            self.model.latent_size,
            training.seed,
            self.epochs_done,
            self._step.objective.samples,
            self._see,
        )
        if begun is None:
            sums = torch.zeros(SUMS, dtype=torch.float64, device=self.device)
            return _Epoch(batches, sums, began, self._step.compile_seconds)
        batches.go_on(begun.batches, begun.draws)
        return _Epoch(batches, begun.sums, began - begun.elapsed, begun.compile_seconds - begun.compiling)

    def _make_step(self, computing: Computing, compile_seconds: float) -> TrainingStep:
        """Return the training step for the next epoch."""
        return TrainingStep(
            self.model,
            self.optimiser,
            computing,
            self.config.training,
            epoch=self.epochs_done,
            compile_seconds=compile_seconds,
        )

    def _train(self, epoch: _Epoch, progress: Callable[[int], None] | None) -> Tensor:
        """Train the rest of an epoch; return the sums of the step's figures over its batches.

        Only the end waits for the device: the sums stay there until all batches have been submitted and are then read,
        so that the caller's timing covers all of the work.
        """
        training, sums, compiled = self.config.training, epoch.sums, self._step.compile_seconds
        weight, count = kl_weight(training, self.epochs_done), self._batches
        self.model.train()
        for batch in epoch.batches:
            rate = learning_rate(training, self.epochs_done, batch.number, count)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            sums += self._step(batch, weight)
            if self._step.compile_seconds > compiled and self._unsaved is None:
                self._write_state("running")  # shows that compiling is over
            compiled = self._step.compile_seconds
            if self._average is not None:
                self._average.update(self.epochs_done * count + epoch.batches.done)
            if time.monotonic() >= self._due:
                self._save_step(epoch)
            if progress is not None:
                self._left = epoch
                progress(training.batch_size)
                self._left = None
        return sums.cpu()

    def _metrics(self, sums: Tensor, batches: int, training_seconds: float, started: float) -> EpochMetrics:
        training, dimensions = self.config.training, self.config.image_format.dimensions
        loss, reconstruction, kl, norm, clipped = (sums / batches).tolist()
        norms = batches if training.gradient_clip else -(-batches // NORM_EVERY)
        if self._average is not None:
            self._average.settle(self._kept, self._see)
        validation = self._validation.bound(self.scored)
        return EpochMetrics(
            epoch=self.epochs_done + 1,
            kl_weight=kl_weight(training, self.epochs_done),
            learning_rate=learning_rate(training, self.epochs_done, 0, batches),
            train_loss=loss,
            train_negative_elbo=reconstruction + kl,
            train_reconstruction=reconstruction,
            train_kl=kl,
            validation_negative_elbo=validation and validation.negative_elbo,
            images_per_second=batches * training.batch_size / training_seconds,
            seconds=time.perf_counter() - started,
            train_bits_per_dim=bits_per_dim(reconstruction + kl, dimensions),
            validation_bits_per_dim=validation and bits_per_dim(validation.negative_elbo, dimensions),
            validation_reconstruction=validation and validation.reconstruction,
            validation_kl=validation and validation.kl,
            active_units=self._validation.active_units(self.scored),
            gradient_norm=norm * batches / norms,
            clipped_share=clipped if training.gradient_clip else None,
        )

    @property
    def _batches(self) -> int:
        """Batches per epoch."""
        return batch_count(len(self.images.training), self.config.training.batch_size)

    @property
    def _stops_early(self) -> bool:
        best = 0 if self.best is None else self.best.epoch
        return has_stopped_early(self.config.training, self.epochs_done, best)

    def _checkpoint_is_due(self, epoch: int) -> bool:
        training = self.config.training
        return epoch % training.checkpoint_every_epochs == 0 or epoch == training.epochs

    def _state(self, status: RunStatus) -> RunState:
        return RunState(
            status=status,
            epochs=self.epochs_done,
            best=self.best,
            seconds=self.seconds,
            parameters=self.parameters,
            precision=self._step.computing.precision,
            compiled=self._step.computing.compiled,
            compile_seconds=self._step.compile_seconds,
            images=self._fingerprints,
        )

    def _write_state(self, status: RunStatus) -> None:
        self.folder.write_state(self._state(status))


def _unsettled(config: RunConfig, training_images: int) -> str:
    """A warning if batch norm's moving averages cannot settle in the requested epochs; else empty."""
    if not config.has_lagging_averages:
        return ""
    training, momentum = config.training, config.model.batch_norm_momentum
    settling = settling_of(momentum, training_images, training.batch_size, training.epochs)
    return unsettled_remark(settling, momentum) if is_unsettled(settling) else ""


def _apart_causes(config: RunConfig) -> Iterator[str]:
    """What may put a validation bound far above the training bound."""
    if config.model.has_batch_norm:
        yield LAGGING if config.has_lagging_averages else FEW_IMAGES
    yield OVERFITS


def _is_finite(metrics: EpochMetrics) -> bool:
    """Return whether the loss of an epoch is finite, and its validation bound if there is one."""
    bound = metrics.validation_negative_elbo
    return math.isfinite(metrics.train_loss) and (bound is None or math.isfinite(bound))
