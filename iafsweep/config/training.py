"""The training recipe; the defaults are the reference's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from iafsweep.config.data import Seed
from iafsweep.config.model import Size
from iafsweep.config.section import Section


class TrainingConfig(Section):
    """The training recipe."""

    epochs: Size = Field(2500, description="Passes over the training images.")
    batch_size: int = Field(200, ge=2, lt=2**31, description="Images a step; batch norm needs at least 2.")
    optimiser: Literal["adam", "adamw", "adamax"] = Field(
        "adam", description="`adam`; `adamw` and `adamax`, which take `weight_decay`."
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="Each step takes this share times the learning rate off every weight (decoupled); biases and "
        "batch norms are left alone.",
    )
    gradient_clip: float | None = Field(
        None, gt=0, description="Gradients whose norm over all weights is larger are scaled down to it; unset: none."
    )
    learning_rate: float = Field(1e-3, gt=0, description="Step size at the start, after its own warm-up.")
    learning_rate_schedule: Literal["step", "cosine", "constant"] = Field(
        "step",
        description="How the learning rate falls: in steps of `learning_rate_decay`, along half a `cosine` from the "
        "first training step to the last, or not at all.",
    )
    learning_rate_decay: float = Field(
        0.5, gt=0, le=1, description="`step`: factor on the learning rate every `learning_rate_decay_epochs`."
    )
    learning_rate_decay_epochs: Size = Field(800, description="`step`: epochs between two decays.")
    learning_rate_end: float = Field(0.0, ge=0, le=1, description="`cosine`: share of the learning rate at the end.")
    learning_rate_warmup_epochs: int = Field(
        0,
        ge=0,
        lt=2**31,
        description="The learning rate rises linearly, step by step, over so many epochs; 0: no warm-up.",
    )
    kl_warmup_epochs: int = Field(
        200,
        ge=0,
        lt=2**31,
        description="The KL term's weight rises linearly from 0 to 1 over so many epochs; 0: no warm-up.",
    )
    free_bits: float = Field(
        0.0,
        ge=0,
        description="A floor under the batch mean of the KL term, nats: below it the KL has no gradient; 0: none. For "
        "the objectives `elbo` and `stl`.",
    )
    objective: Literal["elbo", "iwae", "dreg", "stl"] = Field(
        "elbo",
        description="What is trained: the `elbo`; the importance-weighted bound `iwae`; that with the doubly "
        "reparameterised gradient, `dreg`; the ELBO with the gradient that sticks the landing, `stl`. The last two "
        "need a posterior whose score costs no more than a step: flow depth 0, `planar` or `sylvester`.",
    )
    objective_samples: Size = Field(
        1, description="Posterior samples an image of the objective; at least 2 for `iwae` and `dreg`."
    )
    objective_from_epoch: int = Field(
        0, ge=0, lt=2**31, description="So many epochs are trained on the ELBO with one sample before the objective."
    )
    weight_average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay of a moving average of the weights, a step, as in 0.999: validation, scoring, samples and "
        "exports then use the average, with statistics of batch norm of its own; 0: none.",
    )
    weight_average_images: int = Field(
        5000,
        ge=2,
        lt=2**31,
        description="Training images on which the averaged weights' statistics of batch norm are estimated after every "
        "epoch; all where there are fewer.",
    )
    early_stopping_epochs: Size | None = Field(
        None,
        description="The run ends, completed, after so many epochs without a lower validation bound, those before the "
        "end of warm-ups and before the objective not counted; unset: it never does.",
    )
    seed: Seed = Field(
        0, description="Seed of initial weights, data order, training binarisation, posterior noise and dropout."
    )
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

    @property
    def objective_begins(self) -> bool:
        """Whether any epoch is trained otherwise than on the ELBO with one sample."""
        return (self.objective, self.objective_samples) != ("elbo", 1) and self.objective_from_epoch < self.epochs

    @property
    def settled_epochs(self) -> int:
        """Epochs after which nothing but the learning rate changes any more: warm-ups over, the objective begun."""
        begins = self.objective_from_epoch if self.objective_begins else 0
        return max(self.kl_warmup_epochs, self.learning_rate_warmup_epochs, begins)

    @model_validator(mode="after")
    def _the_optimiser_decays(self) -> TrainingConfig:
        if self.weight_decay and self.optimiser == "adam":
            raise ValueError(
                f"weight_decay = {self.weight_decay} is decoupled from the gradient, which optimiser = 'adam' is not; "
                f"take optimiser = 'adamw' (Adam with it) or 'adamax'"
            )
        return self

    @model_validator(mode="after")
    def _the_objective_has_its_samples(self) -> TrainingConfig:
        weighted = self.objective in ("iwae", "dreg")
        if weighted and self.objective_samples == 1:
            raise ValueError(
                f"objective = '{self.objective}' with one sample is the ELBO; set objective_samples to at least 2, or "
                f"take objective = '{'elbo' if self.objective == 'iwae' else 'stl'}'"
            )
        if weighted and self.free_bits:
            raise ValueError(
                f"free_bits = {self.free_bits} is a floor under the KL term, which objective = '{self.objective}' does "
                f"not have apart; set free_bits to 0, or take objective = 'elbo' or 'stl'"
            )
        return self
