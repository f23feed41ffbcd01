"""What a training run says of itself: a line an epoch, and how far it is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from iafsweep.records.base import Record
from iafsweep.records.latents import Latents
from iafsweep.records.scores import Fingerprint, Split

DeviceChoice = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]
"""What networks compute in; densities and sums are float32 or more in either."""
RunStatus = Literal["running", "completed", "diverged", "interrupted"]


class EpochMetrics(Record):
    """One line of ``metrics.jsonl``: what one training epoch gave.

    Attributes:
        epoch: epochs done, 1 after the first.
        kl_weight: weight of the KL term during the epoch, from 0 to 1.
        learning_rate: step size of the epoch's first step, which may change from step to step.
        train_loss: mean training loss (that of the objective, KL term weighted), train mode.
        train_negative_elbo: mean of -log p(x|z) + log q(z|x) - log p(z) over the epoch, train mode, full KL weight.
        train_reconstruction: mean of -log p(x|z).
        train_kl: mean of log q(z|x) - log p(z).
        validation_negative_elbo: the bound on the validation images, eval mode, full KL weight; None without them.
        images_per_second: training images a second, neither validation nor compiling counted.
        seconds: seconds of the epoch, validation and compiling counted.
        train_bits_per_dim: the training bound in bits per dimension; None of images that are bits.
        validation_bits_per_dim: the validation bound, likewise.
        validation_reconstruction: mean of -log p(x|z) on the validation images.
        validation_kl: mean of log q(z|x) - log p(z) on them.
        active_units: latent variables that vary over them (variance above 0.01).
        gradient_norm: mean norm of the gradient of all weights together, before it is clipped; where it is not clipped,
            over every tenth step from the first.
        clipped_share: share of steps in which it was; None where gradients are not clipped.
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
        """What the latent variables carry of the validation bound; without validation images, of the training bound."""
        if self.validation_kl is None or self.validation_negative_elbo is None:
            return Latents(kl=self.train_kl, bound=self.train_negative_elbo)
        return Latents(kl=self.validation_kl, bound=self.validation_negative_elbo, active_units=self.active_units)


class Best(Record):
    """The best epoch so far, by the validation bound."""

    epoch: int
    validation_negative_elbo: float


class TrainingFacts(Record):
    """What training a run took, and what it computed in: the same from the run folder to the leaderboard.

    Attributes:
        seconds: training seconds so far, interruptions not counted.
        parameters: trainable parameters.
        precision: what the networks computed in during training; None if it never began.
        compiled: whether the training step was compiled.
        compile_seconds: how many of the seconds were spent compiling, in all processes that the run went through; None
            if that is not known (yet).
    """

    seconds: float
    parameters: int | None = None
    precision: Precision | None = None
    compiled: bool | None = None
    compile_seconds: float | None = None

    @property
    def facts(self) -> TrainingFacts:
        """These alone, of a record that has more."""
        return TrainingFacts(**{name: getattr(self, name) for name in TrainingFacts.model_fields})


class _Progress(Record):
    """What stands in front of the facts, for people who look into the file."""

    status: RunStatus
    epochs: int
    best: Best | None


class RunState(TrainingFacts, _Progress):
    """``state.json`` of a run folder: how far the run is, kept beside the checkpoints for people and tools.

    Attributes:
        status: ``running`` until the run ends one way or another.
        epochs: epochs done.
        best: the best epoch, None without validation or before the first epoch.
        images: what it was trained, validated and, once scored, tested on; empty of a run of an earlier version.
    """

    parameters: int
    precision: Precision = "float32"
    compiled: bool = False
    compile_seconds: float = 0.0
    images: dict[Split, Fingerprint] = Field(default_factory=dict)
