"""Records of a training run: metrics of each epoch, and progress."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from iafsweep.records.base import Record
from iafsweep.records.latents import Latents
from iafsweep.records.scores import Fingerprint, Split

DeviceChoice = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]
"""Precision of the networks; densities and sums use float32 or higher in either case."""
RunStatus = Literal["running", "completed", "diverged", "interrupted"]


class EpochMetrics(Record):
    """One line of ``metrics.jsonl``: the metrics of one training epoch.

    Attributes:
        epoch: number of completed epochs, 1 after the first.
        kl_weight: weight of the KL term during the epoch, from 0 to 1.
        learning_rate: learning rate of the epoch's first step; it may change from step to step.
        train_loss: mean training loss (that of the objective, KL term weighted), train mode.
        train_negative_elbo: mean of -log p(x|z) + log q(z|x) - log p(z) over the epoch, train mode, full KL weight.
        train_reconstruction: mean of -log p(x|z).
        train_kl: mean of log q(z|x) - log p(z).
        validation_negative_elbo: the bound on the validation images, eval mode, full KL weight; None without them.
        images_per_second: training images per second, without validation and compiling.
        seconds: seconds of the epoch, including validation and compiling.
        train_bits_per_dim: the training bound in bits per dimension; None for binary images.
        validation_bits_per_dim: the validation bound in the same unit.
        validation_reconstruction: mean of -log p(x|z) on the validation images.
        validation_kl: mean of log q(z|x) - log p(z) on the validation images.
        active_units: number of latent variables that vary over the validation images (variance above 0.01).
        gradient_norm: mean norm of the full gradient before clipping; without clipping, over every tenth step from the
            first.
        clipped_share: share of steps whose gradient was clipped; None without clipping.
    """

    epoch: int
    kl_weight: float
    learning_rate: float
    train_loss: float
    train_negative_elbo: float
    train_reconstruction: float
    train_kl: float
    validation_negative_elbo: float | None
    images_per_second: float
    seconds: float
    train_bits_per_dim: float | None = None
    validation_bits_per_dim: float | None = None
    validation_reconstruction: float | None = None
    validation_kl: float | None = None
    active_units: int | None = None
    gradient_norm: float | None = None
    clipped_share: float | None = None

    @property
    def latents(self) -> Latents:
        """What the latent variables carry of the validation bound or, without validation images, the training bound."""
        if self.validation_kl is None or self.validation_negative_elbo is None:
            return Latents(kl=self.train_kl, bound=self.train_negative_elbo)
        return Latents(kl=self.validation_kl, bound=self.validation_negative_elbo, active_units=self.active_units)


class Best(Record):
    """The best epoch so far, by the validation bound."""

    epoch: int
    validation_negative_elbo: float


class TrainingFacts(Record):
    """Cost and precision of a run's training, as stored in the run folder and passed on to the leaderboard.

    Attributes:
        seconds: training seconds so far, without interruptions.
        parameters: number of trainable parameters.
        precision: precision of the networks during training; None if it never began.
        compiled: whether the training step was compiled.
        compile_seconds: the part of ``seconds`` spent compiling, over all processes of the run; None if not known
            (yet).
    """

    seconds: float
    parameters: int | None = None
    precision: Precision | None = None
    compiled: bool | None = None
    compile_seconds: float | None = None

    @property
    def facts(self) -> TrainingFacts:
        """These fields alone, without those that a subclass adds."""
        return TrainingFacts(**{name: getattr(self, name) for name in TrainingFacts.model_fields})


class _Progress(Record):
    """Fields written before the facts, for people who read the file."""

    status: RunStatus
    epochs: int
    best: Best | None


class RunState(TrainingFacts, _Progress):
    """``state.json`` of a run folder: the progress of the run, kept beside the checkpoints for people and tools.

    Attributes:
        status: ``running`` until the run ends in any way.
        epochs: completed epochs.
        best: the best epoch, None without validation or before the first epoch.
        images: the images it was trained, validated and, once scored, tested on; empty for runs of earlier versions.
    """

    parameters: int
    precision: Precision = "float32"
    compiled: bool = False
    compile_seconds: float = 0.0
    images: dict[Split, Fingerprint] = Field(default_factory=dict)
