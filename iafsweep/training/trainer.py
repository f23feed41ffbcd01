"""The one trainer: ``run_single.py`` and every trial of a sweep train through it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from iafsweep.config import RunConfig, dump_config
from iafsweep.data import TrainingImages, fixed_binarisation
from iafsweep.errors import RunFolderError
from iafsweep.models import VAE, build_model
from iafsweep.records import Best, EpochMetrics, RunState, RunStatus, Split
from iafsweep.training import checkpoint as checkpoints
from iafsweep.training import metrics_file
from iafsweep.training.batches import batch_count, epoch_batches
from iafsweep.training.checkpoint import on_cpu
from iafsweep.training.comparison import refuse_foreign_checkpoint, refuse_lost_best, refuse_other_training
from iafsweep.training.computing import Computing, choose_computing
from iafsweep.training.device import device_name
from iafsweep.training.figures import data_grid, reconstruction_grid, sample_grid, save_png
from iafsweep.training.host_memory import keep_freed_memory
from iafsweep.training.run_folder import RunFolder
from iafsweep.training.run_log import Curves, close_log, open_log
from iafsweep.training.schedules import kl_weight, learning_rate
from iafsweep.training.step import TrainingStep
from iafsweep.training.validation import ValidationSet

_SHOWN = 50


class DivergedError(Exception):
    """The loss or the validation bound is not a finite number; the last good checkpoint is kept."""

    def __init__(self, metrics: EpochMetrics) -> None:
        super().__init__(
            f"diverged in epoch {metrics.epoch}: training loss {metrics.train_loss}, "
            f"validation bound {metrics.validation_negative_elbo}"
        )
        self.metrics = metrics


class Trainer:
    """Trains one configuration epoch by epoch in its run folder.

    All that is random in an epoch (order of images, binarisation, posterior noise) is a function of the training seed
    and of the epoch's number, so that a run that was killed goes on exactly as if it had not been. An incomplete last
    batch is left out; which images fall into it changes with every epoch.
    """

    def __init__(self, config: RunConfig, images: TrainingImages, folder: RunFolder, device: torch.device) -> None:
        """Build the model and its optimiser; use :meth:`start` or :meth:`resume` instead."""
        if device.type == "cpu":
            keep_freed_memory()
        self.config = config
        self.folder = folder
        self.device = device
        self.images = images.to(device)
        self.model: VAE = build_model(config.model, config.data.facts.image_shape, config.training.seed).to(device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=config.training.learning_rate, fused=True)
        self.epochs_done = 0
        self.best: Best | None = None
        self.seconds = 0.0
        self._new_best: checkpoints.BestWeights | None = None
        self._kept: checkpoints.Checkpoint | None = None  # the last complete epoch, while it is not on disk
        self._saved_epoch: int | None = None
        self._drawn_epoch: int | None = None
        self._step = TrainingStep(self.model, self.optimiser, choose_computing(config, self.model, device))
        self._validation = ValidationSet.of(images, config, device)
        self._shown = _shown(images, config).to(device)

    @classmethod
    def start(cls, config: RunConfig, images: TrainingImages, folder: RunFolder, device: torch.device) -> Trainer:
        """Start a new run in an empty or new folder.

        Raises:
            RunFolderError: the folder is not empty or cannot be written.
        """
        folder.refuse_used()
        trainer = cls(config, images, folder, device)  # what does not fit into memory leaves no folder
        folder.create(config)
        save_png(folder.data, data_grid(trainer._shown))
        folder.metrics.touch()
        # Killed before the end of its first epoch, a run can go on too.
        trainer.save()
        trainer._open("started on %s, %s parameters", trainer.place, f"{trainer.parameters:,}")
        return trainer

    @classmethod
    def resume(cls, config: RunConfig, images: TrainingImages, folder: RunFolder, device: torch.device) -> Trainer:
        """Go on from ``last.pt``; lines of ``metrics.jsonl`` beyond it are cut.

        More epochs, another evaluation or title may be asked for; any other difference is an error.

        Raises:
            RunFolderError: there is no checkpoint, it or the metrics are damaged, the best epoch's checkpoint is wanted
                at the end and missing or damaged, or the configuration is another.
        """
        refuse_other_training(folder.read_config(), config, folder)
        saved = checkpoints.load_last(folder, device)
        refuse_foreign_checkpoint(saved.config, config, folder)
        if saved.epoch > config.training.epochs:
            raise RunFolderError(
                f"{folder.path} has trained {saved.epoch} epochs, more than the {config.training.epochs} asked for; "
                f"ask for at least {saved.epoch}"
            )
        if config.evaluation.checkpoint == "best":
            refuse_lost_best(folder, saved, config)
        metrics_file.cut(folder.metrics, saved.epoch)
        folder.rewrite_config(config)
        trainer = cls(config, images, folder, device)
        trainer._restore(saved)
        trainer._write_state("running")
        trainer._open("resumed after epoch %d on %s", saved.epoch, trainer.place)
        if saved.threads != torch.get_num_threads() and device.type == "cpu":
            trainer._log.warning(
                "trained with %d threads before, %d now: figures may differ in the last digits",
                saved.threads,
                torch.get_num_threads(),
            )
        return trainer

    @property
    def parameters(self) -> int:
        """Trainable parameters of the model."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def place(self) -> str:
        """Where and how it computes, such as ``cpu (2 threads), float32, not compiled``."""
        return f"{device_name(self.device)}, {self._step.computing.description}"

    @property
    def remark(self) -> str:
        """What a user should hear of how the run computes; empty where there is nothing to say."""
        return self._step.computing.remark

    @property
    def state(self) -> RunState:
        """How far the run is, as if it went on."""
        return self._state("running")

    def run_epoch(self, progress: Callable[[int], None] | None = None) -> EpochMetrics:
        """Train one epoch, measure the validation bound, and keep what is due to be kept.

        Args:
            progress: called after every batch with its number of images.

        Raises:
            DivergedError: the loss or the validation bound is not finite.
        """
        started = time.perf_counter()
        compiled_before, remark = self._step.compile_seconds, self.remark
        sums, trained = self._train(progress)
        compiling = self._step.compile_seconds - compiled_before
        metrics = self._metrics(sums, trained, time.perf_counter() - started - compiling, started)
        if self.remark != remark:
            self._log.warning("%s", self.remark)
        metrics_file.append(self.folder.metrics, metrics)
        self._curves.add_metrics(metrics)
        self.seconds += metrics.seconds
        if not _is_finite(metrics):
            self._save_complete()
            self._write_state("diverged")
            self._log.error("diverged in epoch %d", metrics.epoch)
            raise DivergedError(metrics)
        self.epochs_done = metrics.epoch
        self._keep_best(metrics)
        self._log.info("%s", _summary(metrics))
        if _is_round(metrics.epoch):
            self._draw(metrics.epoch)
        if self._checkpoint_is_due():
            self.save()
        else:
            self._kept = self._checkpoint(on_cpu)
        return metrics

    def save(self) -> None:
        """Write the checkpoints and ``state.json`` as of the last complete epoch; nothing if they are there already."""
        if self._saved_epoch == self.epochs_done:
            return
        self._save_complete()
        self._write_state("running")

    def finish(self, status: RunStatus = "completed") -> None:
        """Save, draw the figures, write the last state and close all files."""
        self.save()
        self._draw(self.epochs_done)
        self._curves.add_end(self.best, self.epochs_done, completed=status == "completed")
        self._write_state(status)
        self._log.info("%s after epoch %d", status, self.epochs_done)
        self.close()

    def interrupt(self) -> None:
        """Save the last complete epoch, mark the run as interrupted and close all files.

        The epoch that was interrupted is half trained and is thrown away.
        """
        self._save_complete()
        self._write_state("interrupted")
        self._log.info("interrupted after epoch %d", self.epochs_done)
        self.close()

    def close(self) -> None:
        """Close log and event file; what was not saved is lost."""
        try:
            self._curves.close()
        finally:  # a full disk may refuse the last events
            close_log(self._log)

    def _open(self, message: str, *values: object) -> None:
        self.folder.remove_leftovers()
        self._log = open_log(self.folder.log)
        try:
            self._curves = Curves(self.folder.tensorboard, self.epochs_done + 1)
            self._curves.add_config(self.config, self.epochs_done)
            self._log.info(message, *values)
            if self.remark:
                self._log.warning("%s", self.remark)
        except BaseException:  # a full disk: nobody else could close it
            close_log(self._log)
            raise

    def _checkpoint(self, keep: Callable[[Any], Any] = lambda state: state) -> checkpoints.Checkpoint:
        """Return what training goes on from; ``keep`` makes of tensors what outlives the next step."""
        return checkpoints.Checkpoint(
            config=dump_config(self.config),
            epoch=self.epochs_done,
            model=keep(self.model.state_dict()),
            optimiser=keep(self.optimiser.state_dict()),
            best=self.best,
            seconds=self.seconds,
            threads=torch.get_num_threads(),
            device=self.device.type,
            torch_version=str(torch.__version__),
            precision=self._step.computing.precision,
            compiled=self._step.computing.compiled,
            compile_seconds=self._step.compile_seconds,
        )

    def _write(self, last: checkpoints.Checkpoint) -> None:
        checkpoints.save(self.folder, last, self._new_best)
        self._new_best = self._kept = None
        self._saved_epoch = last.epoch

    def _save_complete(self) -> None:
        """Write the last complete epoch if it is not on disk yet; in mid-epoch the weights themselves have gone on."""
        if self._saved_epoch == self.epochs_done:
            return
        kept = self._kept
        self._write(kept if kept is not None and kept.epoch == self.epochs_done else self._checkpoint())

    def _restore(self, saved: checkpoints.Checkpoint) -> None:
        try:
            self.model.load_state_dict(saved.model)
            self.optimiser.load_state_dict(saved.optimiser)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunFolderError(f"{self.folder.last} does not fit the config.toml beside it: {error}") from error
        for parameter, moments in self.optimiser.state.items():
            for name, moment in moments.items():
                if moment.shape == parameter.shape:  # the fused update walks through memory in the weights' own order
                    moments[name] = torch.empty_like(parameter, requires_grad=False).copy_(moment)
        earlier = Computing(saved.precision, saved.compiled)
        computing = choose_computing(self.config, self.model, self.device, earlier)
        self._step = TrainingStep(self.model, self.optimiser, computing, saved.compile_seconds)
        self.epochs_done = self._saved_epoch = saved.epoch
        self.best = saved.best
        self.seconds = saved.seconds

    def _train(self, progress: Callable[[int], None] | None) -> tuple[Tensor, int]:
        """Train one epoch; return the sums over batches of loss, reconstruction and KL, and the number of batches.

        Nothing here waits for the device: sums stay on it until the epoch ends.
        """
        training = self.config.training
        epoch = self.epochs_done
        weight = kl_weight(training, epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(training, epoch)
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        self.model.train()
        images, size = self.images.training, training.batch_size
        for batch in epoch_batches(images, size, self.model.latent_size, training.seed, epoch):
            sums += self._step(batch, weight)
            if progress is not None:
                progress(size)
        return sums, batch_count(len(images), size)

    def _metrics(self, sums: Tensor, batches: int, training_seconds: float, started: float) -> EpochMetrics:
        loss, reconstruction, kl = (sums / batches).tolist()
        validation = self._validation.negative_elbo(self.model)
        training = self.config.training
        return EpochMetrics(
            epoch=self.epochs_done + 1,
            kl_weight=kl_weight(training, self.epochs_done),
            learning_rate=learning_rate(training, self.epochs_done),
            train_loss=loss,
            train_negative_elbo=reconstruction + kl,
            train_reconstruction=reconstruction,
            train_kl=kl,
            validation_negative_elbo=validation,
            images_per_second=batches * training.batch_size / training_seconds,
            seconds=time.perf_counter() - started,
        )

    def _keep_best(self, metrics: EpochMetrics) -> None:
        bound = metrics.validation_negative_elbo
        if bound is None or (self.best is not None and bound >= self.best.validation_negative_elbo):
            return
        self.best = Best(epoch=metrics.epoch, validation_negative_elbo=bound)
        weights = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        self._new_best = checkpoints.BestWeights(dump_config(self.config), metrics.epoch, weights)

    def _checkpoint_is_due(self) -> bool:
        every = self.config.training.checkpoint_every_epochs
        return self.epochs_done % every == 0 or self.epochs_done == self.config.training.epochs

    def _draw(self, epoch: int) -> None:
        if self._drawn_epoch == epoch:
            return
        self._drawn_epoch = epoch
        seed = self.config.training.seed
        grids = {
            self.folder.samples: sample_grid(self.model, self.device, seed),
            self.folder.reconstructions: reconstruction_grid(self.model, self._shown, seed),
        }
        for path, grid in grids.items():
            save_png(path, grid)
            self._curves.add_image(path.stem, grid, epoch)

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
        )

    def _write_state(self, status: RunStatus) -> None:
        self.folder.write_state(self._state(status))


def _shown(images: TrainingImages, config: RunConfig) -> Tensor:
    """Bits of the images that figures show: the first validation images, or training images where there are none."""
    split: Split = "validation" if len(images.validation) else "train"
    grey = images.validation if len(images.validation) else images.training
    return fixed_binarisation(grey[:_SHOWN], split, config.data.binarisation_seed)


def _is_finite(metrics: EpochMetrics) -> bool:
    bound = metrics.validation_negative_elbo
    return math.isfinite(metrics.train_loss) and (bound is None or math.isfinite(bound))


def _is_round(epoch: int) -> bool:
    """Whether images are drawn after this epoch: 1, 2, 5, 10, 20, 50, 100, ..."""
    return epoch in {digit * 10**power for digit in (1, 2, 5) for power in range(len(str(epoch)))}


def _summary(metrics: EpochMetrics) -> str:
    validation = metrics.validation_negative_elbo
    return (
        f"epoch {metrics.epoch}: train {metrics.train_negative_elbo:.2f}"
        + ("" if validation is None else f", validation {validation:.2f}")
        + f" nats, {metrics.images_per_second:.0f} images/s"
    )
