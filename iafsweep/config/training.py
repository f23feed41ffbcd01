"""The training recipe; the defaults are the reference's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from iafsweep.config.data import Seed
from iafsweep.config.model import Size
from iafsweep.config.section import Section


class TrainingConfig(Section):
    """The training recipe."""

    epochs: Size = Field(2500, description="Passes over the training images.")
    batch_size: int = Field(200, ge=2, lt=2**31, description="Images a step; batch norm needs at least 2.")
    learning_rate: float = Field(1e-3, gt=0, description="Adam's step size at the start.")
    learning_rate_decay: float = Field(
        0.5, gt=0, le=1, description="Factor on the learning rate every `learning_rate_decay_epochs`."
    )
    learning_rate_decay_epochs: Size = Field(800, description="Epochs between two decays of the learning rate.")
    kl_warmup_epochs: int = Field(
        200,
        ge=0,
        lt=2**31,
        description="The KL term's weight rises linearly from 0 to 1 over so many epochs; 0: no warm-up.",
    )
    seed: Seed = Field(0, description="Seed of initial weights, data order, training binarisation and noise.")
    checkpoint_every_epochs: Size = Field(
        1, description="Epochs between two checkpoints on disk; the last epoch always has one."
    )
    checkpoint_every_minutes: float = Field(
        2, gt=0, description="Minutes after which a checkpoint is written in the middle of an epoch, against kills."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="What the networks compute in during training (densities, sums, statistics of batch norm, weights "
        "and scores are float32 always), float32 without TF32; auto: float32 on a CPU, bfloat16 on a GPU that has it.",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether the step is compiled; auto: where the run is long enough to win by it (on a CPU fully "
        "connected networks alone).",
    )
