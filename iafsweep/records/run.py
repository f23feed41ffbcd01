"""What a training run says of itself: a line an epoch, and how far it is."""

from __future__ import annotations

from typing import Literal

from iafsweep.records.base import Record

DeviceChoice = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]
"""What networks compute in; densities and sums are float32 or more in either."""
RunStatus = Literal["running", "completed", "diverged", "interrupted"]


class EpochMetrics(Record):
    """One line of ``metrics.jsonl``: what one training epoch gave.

    Attributes:
        epoch: epochs done, 1 after the first.
        kl_weight: weight of the KL term during the epoch, from 0 to 1.
        learning_rate: Adam's step size during the epoch.
        train_loss: mean training loss (KL term weighted), train mode.
        train_negative_elbo: mean of -log p(x|z) + log q(z|x) - log p(z) over the epoch, train mode, full KL weight.
        train_reconstruction: mean of -log p(x|z).
        train_kl: mean of log q(z|x) - log p(z).
        validation_negative_elbo: the bound on the validation images, eval mode, full KL weight; None without them.
        images_per_second: training images a second, neither validation nor compiling counted.
        seconds: seconds of the epoch, validation and compiling counted.
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


class Best(Record):
    """The best epoch so far, by the validation bound."""

    epoch: int
    validation_negative_elbo: float


class RunState(Record):
    """``state.json`` of a run folder: how far the run is, kept beside the checkpoints for people and tools.

    Attributes:
        status: ``running`` until the run ends one way or another.
        epochs: epochs done.
        best: the best epoch, None without validation or before the first epoch.
        seconds: training seconds so far, interruptions not counted.
        parameters: trainable parameters.
        precision: what the networks compute in during training.
        compiled: whether the training step is compiled.
        compile_seconds: how many of the seconds were spent compiling, in all processes that the run went through.
    """

    status: RunStatus
    epochs: int
    best: Best | None
    seconds: float
    parameters: int
    precision: Precision = "float32"
    compiled: bool = False
    compile_seconds: float = 0.0
