"""The training recipe. The defaults are those of the reference."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from iafsweep.config.data import Seed
from iafsweep.config.model import Size
from iafsweep.config.section import Section


class TrainingConfig(Section):
    """The training recipe."""

    epochs: Size = Field(2500, description="Passes over the training images.")
    batch_size: int = Field(200, ge=2, lt=2**31, description="Images per step; batch norm needs at least 2.")
    optimiser: Literal["adam", "adamw", "adamax"] = Field(
        "adam", description="`adam`, or one that takes `weight_decay`: `adamw` or `adamax`."
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="Decoupled weight decay: each step shrinks every weight by this share times the learning rate. "
        "Biases and batch norms are exempt.",
    )
    gradient_clip: float | None = Field(
        None, gt=0, description="Gradients with a larger norm over all weights are scaled down to it; unset: never."
    )
    learning_rate: float = Field(1e-3, gt=0, description="Learning rate at the start, after its warm-up.")
    learning_rate_schedule: Literal["step", "cosine", "constant"] = Field(
        "step",
        description="How the learning rate falls. `step`: by `learning_rate_decay` at intervals. `cosine`: along half "
        "a cosine from the first training step to the last. `constant`: not at all.",
    )
    learning_rate_decay: float = Field(
        0.5, gt=0, le=1, description="`step`: factor applied to the learning rate every `learning_rate_decay_epochs`."
    )
    learning_rate_decay_epochs: Size = Field(800, description="`step`: epochs between two decays.")
    learning_rate_end: float = Field(
        0.0, ge=0, le=1, description="`cosine`: share of the learning rate left at the end."
    )
    learning_rate_warmup_epochs: int = Field(
        0,
        ge=0,
        lt=2**31,
        description="Epochs over which the learning rate rises linearly, step by step; 0: no warm-up.",
    )
    kl_warmup_epochs: int = Field(
        200,
        ge=0,
        lt=2**31,
        description="Epochs over which the weight of the KL term rises linearly from 0 to 1; 0: no warm-up.",
    )
    free_bits: float = Field(
        0.0,
        ge=0,
        description="Floor under the batch mean of the KL term, in nats; below it the KL has no gradient. 0: no floor. "
        "For the objectives `elbo` and `stl`.",
    )
    objective: Literal["elbo", "iwae", "dreg", "stl"] = Field(
        "elbo",
        description="What training maximises. `elbo`: the ELBO. `iwae`: the importance-weighted bound. `dreg`: that "
        "bound with the doubly reparameterised gradient. `stl`: the ELBO with the sticking-the-landing gradient. "
        "`dreg` and `stl` need a posterior whose score costs no more than a step: flow depth 0, `planar` or "
        "`sylvester`.",
    )
    objective_samples: Size = Field(
        1, description="Posterior samples per image in the objective; at least 2 for `iwae` and `dreg`."
    )
    objective_from_epoch: int = Field(
        0, ge=0, lt=2**31, description="Epochs trained on the ELBO with one sample before the objective begins."
    )
    weight_average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay per step of a moving average of the weights, such as 0.999; 0: no average. If there is "
        "one, validation, scoring, samples and exports use it, with its own batch norm statistics.",
    )
    weight_average_images: int = Field(
        5000,
        ge=2,
        lt=2**31,
        description="Training images on which the batch norm statistics of the averaged weights are estimated after "
        "every epoch; all of them if there are fewer.",
    )
    early_stopping_epochs: Size | None = Field(
        None,
        description="The run ends as completed after this many epochs without a lower validation bound. Epochs before "
        "the warm-ups end and the objective begins do not count. Unset: no early stopping.",
    )
    seed: Seed = Field(
        0, description="Seed of the initial weights, data order, training binarisation, posterior noise and dropout."
    )
    checkpoint_every_epochs: Size = Field(
        1, description="Epochs between two checkpoints on disk; the last epoch always writes one."
    )
    checkpoint_every_minutes: float = Field(
        2,
        gt=0,
        description="Minutes after which a checkpoint is also written within an epoch, in case the run is killed.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Precision of the networks in training. `float32` does not use TF32. `auto`: float32 on a CPU, "
        "bfloat16 on a GPU that has it. Densities, sums, batch norm statistics, weights and scores are always float32.",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether the training step is compiled. `auto`: if the run is long enough to gain by it (on a CPU, "
        "only with fully connected networks).",
    )

    @property
    def is_plain_elbo(self) -> bool:
        """Whether the objective is the ELBO with one sample, on which training also starts before another begins."""
        return (self.objective, self.objective_samples) == ("elbo", 1)

    @property
    def objective_begins(self) -> bool:
        """Whether any epoch trains on anything but the ELBO with one sample."""
        return not self.is_plain_elbo and self.objective_from_epoch < self.epochs

    @property
    def settled_epochs(self) -> int:
        """Epochs until the warm-ups are over and the objective has begun; then only the learning rate changes."""
        begins = self.objective_from_epoch if self.objective_begins else 0
        return max(self.kl_warmup_epochs, self.learning_rate_warmup_epochs, begins)

    @model_validator(mode="after")
    def _the_optimiser_decays(self) -> TrainingConfig:
        if self.weight_decay and self.optimiser == "adam":
            raise ValueError(
                f"weight_decay = {self.weight_decay} is decoupled weight decay, which optimiser = 'adam' does not "
                f"have; take optimiser = 'adamw' (Adam with it) or 'adamax'"
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
                f"free_bits = {self.free_bits} is a floor under the KL term, but objective = '{self.objective}' has no "
                f"separate KL term; set free_bits to 0, or take objective = 'elbo' or 'stl'"
            )
        return self
