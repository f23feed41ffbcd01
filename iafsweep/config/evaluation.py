"""How a trained model is scored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from iafsweep.config.data import Seed
from iafsweep.config.model import Size
from iafsweep.config.section import Section


class ImportanceSamplingConfig(Section):
    """Importance sampling with the approximate posterior as the proposal."""

    samples: Size = Field(1000, description="Posterior samples an image, S.")
    images: Size | None = Field(None, description="Score the first so many test images; unset: all.")


class HaisConfig(Section):
    """Hamiltonian annealed importance sampling."""

    enabled: bool = Field(default=False, description="Whether `run_single.py` runs HAIS at the end.")
    start: Literal["posterior", "prior", "base"] = Field(
        "posterior",
        description="Where chains start: the full flow `posterior` (annealed in its base noise), the `prior`, "
        "or the Gaussian `base` of the posterior.",
    )
    images: Size | None = Field(None, description="Score the first so many test images; unset: all.")
    chains: Size = Field(16, description="Chains an image, C.")
    temperatures: Size | None = Field(
        None,
        description="Weight increments T; unset: 20 from the posterior, 499 (a grid of 500 points) from prior or base.",
    )
    leapfrog_steps: Size | None = Field(
        None, description="Leapfrog steps of one HMC move; unset: 4 from the posterior, 10 from prior or base."
    )
    schedule: Literal["linear", "sigmoid"] | None = Field(
        None,
        description="Spacing of inverse temperatures; unset: linear from the posterior, sigmoid from prior or base.",
    )
    initial_step_size: float = Field(0.1, gt=0, description="Leapfrog step size at which the pilot run begins.")
    minimum_step_size: float = Field(1e-4, gt=0, description="The pilot run keeps the step size above this.")
    maximum_step_size: float = Field(1.0, gt=0, description="The pilot run keeps the step size below this.")
    target_acceptance: float | None = Field(
        None, gt=0, lt=1, description="Acceptance rate the pilot run aims at; unset: 0.9 from the posterior, else 0.65."
    )
    pilot_images: Size = Field(25, description="Images of the pilot run that tunes the step size before it is frozen.")
    pilot_passes: Size = Field(3, description="Annealing passes of the pilot run; their weights are thrown away.")

    @property
    def resolved_temperatures(self) -> int:
        """Number of weight increments with its default resolved."""
        default = 20 if self.start == "posterior" else 499
        return default if self.temperatures is None else self.temperatures

    @property
    def resolved_leapfrog_steps(self) -> int:
        """Leapfrog steps with their default resolved."""
        default = 4 if self.start == "posterior" else 10
        return default if self.leapfrog_steps is None else self.leapfrog_steps

    @property
    def resolved_schedule(self) -> Literal["linear", "sigmoid"]:
        """The schedule with its default resolved."""
        if self.schedule is not None:
            return self.schedule
        return "linear" if self.start == "posterior" else "sigmoid"

    @property
    def resolved_target_acceptance(self) -> float:
        """The pilot's target with its default resolved."""
        default = 0.9 if self.start == "posterior" else 0.65
        return default if self.target_acceptance is None else self.target_acceptance

    @model_validator(mode="after")
    def _step_sizes_are_ordered(self) -> HaisConfig:
        if not self.minimum_step_size <= self.initial_step_size <= self.maximum_step_size:
            raise ValueError(
                f"minimum_step_size <= initial_step_size <= maximum_step_size must hold, got "
                f"{self.minimum_step_size}, {self.initial_step_size}, {self.maximum_step_size}"
            )
        return self


class EvaluationConfig(Section):
    """How a trained model is scored."""

    checkpoint: Literal["best", "last"] = Field(
        "best", description="Score the `best` epoch by validation, or the `last` (the only one without validation)."
    )
    seed: Seed = Field(0, description="Seed of all posterior samples, momenta and simulated images of the evaluation.")
    bound_images: Size | None = Field(
        None, description="Images of each split on which the final negative ELBO is measured; unset: all."
    )
    importance_sampling: ImportanceSamplingConfig = ImportanceSamplingConfig()
    hais: HaisConfig = HaisConfig()
