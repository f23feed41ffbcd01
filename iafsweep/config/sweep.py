"""The ``[sweep]`` table: how many trials, who proposes them, who stops them, on what they run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from iafsweep.config.data import Seed
from iafsweep.config.section import Section

_FEWEST_MEMBERS = 4
"""A quarter of the members copies another quarter."""


class SweepConfig(Section):
    """How a search space is searched."""

    trials: int = Field(16, ge=1, description="Configurations to train; `grid` ends earlier when it is used up.")
    seed: Seed = Field(0, description="Seed of the sampler, and of each trial's own seed.")
    sampler: Literal["tpe", "random", "grid", "quasi_random", "listed"] = Field(
        "tpe",
        description="Who proposes: Optuna's `tpe`, `random`, `grid` (finite spaces), `quasi_random` (Sobol), or "
        "`listed`: the points of [[sweep.try]] and no others.",
    )
    repeats: int = Field(
        1, ge=1, description="Seeds that each configuration is trained with; above 1 for `listed` only."
    )
    objective: Literal["bound", "bound_and_time"] = Field(
        "bound",
        description="What `tpe` makes small: the validation bound, or that and the seconds of an epoch. Ranks are by "
        "the bound; the leaderboard marks the Pareto front of both in any case.",
    )
    scheduler: Literal["asha", "pbt", "none"] = Field(
        "asha",
        description="What becomes of weak trials: `asha` stops them early, `pbt` lets them go on from copies of strong "
        "ones with changed values, `none` leaves them alone.",
    )
    generation_epochs: int | None = Field(
        None,
        ge=1,
        description="`pbt`: epochs between two exchanges; unset: an eighth of training.epochs, at least 1.",
    )
    grace_epochs: int | None = Field(
        None,
        ge=1,
        description="No trial is stopped before so many epochs; must exceed the longest KL warm-up. Unset: the longest "
        "warm-up + 1, or the fewest epochs divided by the reduction factor squared where that is more.",
    )
    reduction_factor: int = Field(3, ge=2, description="Each rung lets about one in so many trials go on.")
    max_concurrent: int | None = Field(None, ge=1, description="Trials at a time at most; unset: as many as fit.")
    top: int = Field(3, ge=0, description="Best trials that are scored again after the sweep; 0: none.")
    gpus_per_trial: float | None = Field(
        None, ge=0, description="GPUs a trial, fractions allowed; unset: 1 where there are GPUs, else 0."
    )
    cpus_per_trial: int = Field(1, ge=1, description="CPU cores a trial, and its threads.")
    memory_per_trial: float = Field(1.0, gt=0, description="GiB of main memory a trial's process is counted with.")
    free_disk: float = Field(1.0, ge=0, description="GiB of disk that stay free: below that no trial begins.")
    gpu_hours: float | None = Field(
        None, gt=0, description="Training ends when the trials have used so many hours times GPUs; unset: no limit."
    )
    target: float | None = Field(
        None, description="Training ends when a completed trial's validation bound is so low, nats per image."
    )

    @model_validator(mode="after")
    def _gpus_whole_above_one(self) -> SweepConfig:
        if self.gpus_per_trial is not None and self.gpus_per_trial > 1 and self.gpus_per_trial % 1:
            raise ValueError(
                f"gpus_per_trial = {self.gpus_per_trial} splits a GPU beside whole ones; take a fraction below 1 or a "
                f"whole number"
            )
        return self

    @model_validator(mode="after")
    def _a_population_has_no_searcher(self) -> SweepConfig:
        if self.scheduler != "pbt":
            if self.generation_epochs is not None:
                raise ValueError(f"generation_epochs = {self.generation_epochs} is for scheduler = 'pbt' alone")
            return self
        if self.sampler != "random" or self.objective != "bound":
            raise ValueError(
                "scheduler = 'pbt' draws its first members at random and goes on from the bound alone; set "
                "sampler = 'random' and leave objective = 'bound'"
            )
        if self.trials < _FEWEST_MEMBERS:
            raise ValueError(
                f"scheduler = 'pbt' needs at least {_FEWEST_MEMBERS} trials, the members of its population, got "
                f"{self.trials}"
            )
        return self

    @model_validator(mode="after")
    def _repeats_are_for_lists(self) -> SweepConfig:
        if self.repeats > 1 and self.sampler != "listed":
            raise ValueError(
                f"repeats = {self.repeats} needs sampler = 'listed'; `retrain` trains the best with more seeds"
            )
        return self
