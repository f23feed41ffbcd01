"""How a trained model is scored."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, Strict, model_validator

from iafsweep.config.data import Seed
from iafsweep.config.model import Size
from iafsweep.config.section import Section

Start = Literal["posterior", "prior", "base"]
Starts = Annotated[tuple[Start, ...], Strict(strict=False), Field(min_length=1)]


class ImportanceSamplingConfig(Section):
    """Importance sampling with the approximate posterior as the proposal."""

    samples: Size = Field(1000, description="Posterior samples per image, S.")
    images: Size | None = Field(None, description="Number of test images to score, from the first on; unset: all.")


class _Defaults(NamedTuple):
    """What unset fields of `HaisConfig` stand for with one start."""

    chains: int
    temperatures: int
    leapfrog_steps: int
    schedule: Literal["linear", "sigmoid"]
    target_acceptance: float
    initial_step_size: float


# From the posterior, the settings that docs/estimators.md measured as most exact for their cost; else the reference's,
# whose grid of 500 points has 499 increments.
_FROM_POSTERIOR = _Defaults(8, 80, 3, "linear", 0.8, 0.1)
_FROM_ELSEWHERE = _Defaults(16, 499, 10, "sigmoid", 0.65, 0.01)


_UNSAID = ("schedule", "initial_step_size", "minimum_step_size", "maximum_step_size", "target_acceptance")


class HaisSettings(NamedTuple):
    """Settings of annealing from one start, none of them unset. The fields are those of `HaisConfig`."""

    start: Start
    chains: int
    temperatures: int
    leapfrog_steps: int
    schedule: Literal["linear", "sigmoid"]
    target_acceptance: float
    initial_step_size: float
    minimum_step_size: float
    maximum_step_size: float
    pilot_images: int
    pilot_passes: int

    @property
    def text(self) -> str:
        """The label of figures: temperatures, leapfrog steps, chains, and other settings that differ from defaults."""
        usual = HaisConfig(leapfrog_steps=self.leapfrog_steps).resolved(self.start)
        values = ((name, getattr(self, name)) for name in _UNSAID)
        said = "".join(f" {name}={value}" for name, value in values if value != getattr(usual, name))
        return f"{self.temperatures}x{self.leapfrog_steps}x{self.chains}{said}"

    @property
    def step_size_problem(self) -> str | None:
        """What is wrong with the limits of the step size, and the remedy; None if nothing is wrong."""
        lowest, first, highest = self.minimum_step_size, self.initial_step_size, self.maximum_step_size
        if lowest <= first <= highest:
            return None
        remedy = (
            "lower minimum_step_size or raise initial_step_size"
            if lowest > first
            else "lower initial_step_size or raise maximum_step_size"
        )
        return (
            f"minimum_step_size <= initial_step_size <= maximum_step_size must hold, got {lowest}, {first}, "
            f"{highest} (from the {self.start} with {self.leapfrog_steps} leapfrog steps); {remedy}"
        )


def _unset(name: str, note: str = "") -> str:
    """Return in words what an unset field stands for."""
    values = getattr(_FROM_POSTERIOR, name), getattr(_FROM_ELSEWHERE, name)
    return f"unset: {values[0]} from the posterior, {values[1]}{note} from prior or base"


class HaisConfig(Section):
    """Hamiltonian annealed importance sampling."""

    enabled: bool = Field(default=False, description="Whether to score test images by HAIS too.")
    start: Start = Field(
        "posterior",
        description="Where chains start: the full flow `posterior` (annealed in its base noise), the `prior`, "
        "or the posterior's Gaussian `base`.",
    )
    images: Size | None = Field(None, description="Number of test images to score, from the first on; unset: all.")
    chains: Size | None = Field(None, description=f"Chains per image, C; {_unset('chains')}.")
    temperatures: Size | None = Field(
        None, le=10_000_000, description=f"Weight increments, T; {_unset('temperatures', ' (a grid of 500 points)')}."
    )
    leapfrog_steps: Size | None = Field(None, description=f"Leapfrog steps per HMC move; {_unset('leapfrog_steps')}.")
    schedule: Literal["linear", "sigmoid"] | None = Field(
        None, description=f"Spacing of the inverse temperatures; {_unset('schedule')}."
    )
    initial_step_size: float | None = Field(
        None,
        gt=0,
        description=f"Leapfrog step size at which the pilot run begins; {_unset('initial_step_size')} (or the "
        "maximum, if that is smaller).",
    )
    minimum_step_size: float = Field(1e-4, gt=0, description="Lower limit of the step size in the pilot run.")
    maximum_step_size: float | None = Field(
        None,
        gt=0,
        description="Upper limit of the step size in the pilot run; unset: 2 / leapfrog_steps from the posterior, "
        "0.5 from prior or base.",
    )
    target_acceptance: float | None = Field(
        None,
        gt=0,
        lt=1,
        description=f"Acceptance rate that the pilot run aims at; {_unset('target_acceptance')}.",
    )
    pilot_images: Size = Field(
        25, description="Images in the pilot run, which tunes the step size before it is frozen."
    )
    pilot_passes: Size = Field(3, description="Annealing passes in the pilot run; their weights are discarded.")

    def resolved(self, start: Start | None = None) -> HaisSettings:
        """Return the settings for chains from ``start`` (None: the configured one), with unset fields resolved.

        Annealing in the base noise begins at N(0, I), where Hamiltonian dynamics is a rotation by the angle
        L x step size: a quarter turn forgets the starting point, a half turn returns to its mirror image. On a good
        posterior, the acceptance rate alone would not keep the step size below that, so its maximum is 2 / L.
        """
        start = start or self.start
        defaults = _FROM_POSTERIOR if start == "posterior" else _FROM_ELSEWHERE
        steps = self.leapfrog_steps or defaults.leapfrog_steps
        highest = self.maximum_step_size or (2.0 / steps if start == "posterior" else 0.5)
        return HaisSettings(
            start=start,
            chains=self.chains or defaults.chains,
            temperatures=self.temperatures or defaults.temperatures,
            leapfrog_steps=steps,
            schedule=self.schedule or defaults.schedule,
            target_acceptance=self.target_acceptance or defaults.target_acceptance,
            initial_step_size=self.initial_step_size or min(defaults.initial_step_size, highest),
            minimum_step_size=self.minimum_step_size,
            maximum_step_size=highest,
            pilot_images=self.pilot_images,
            pilot_passes=self.pilot_passes,
        )

    @model_validator(mode="after")
    def _step_sizes_are_ordered(self) -> HaisConfig:
        if (problem := self.resolved().step_size_problem) is not None:
            raise ValueError(problem)
        return self


class SandwichConfig(Section):
    """Bidirectional Monte Carlo on images simulated from the model: a lower bound, an upper bound, and their gap."""

    enabled: bool = Field(default=False, description="Whether to measure both bounds.")
    images: Size = Field(100, le=1_000_000, description="Images simulated from the model.")
    starts: Starts | None = Field(
        None,
        description="Starts to measure, each with the settings of `evaluation.hais` (unset ones are resolved for that "
        "start); unset: HAIS's own start.",
    )

    @model_validator(mode="after")
    def _starts_differ(self) -> SandwichConfig:
        if self.starts is not None and len(set(self.starts)) != len(self.starts):
            raise ValueError(f"starts must differ from each other, got {list(self.starts)}; name each once")
        return self


class UntilErrorConfig(Section):
    """Take more samples, or more temperatures, until test figures are exact enough."""

    target: float | None = Field(
        None,
        gt=0,
        description="Double the effort (samples, or temperatures) until the estimator's standard error and the "
        "difference between full and half effort are below this many nats; unset: one round with the given settings.",
    )
    budget_evaluations: Size = Field(
        100_000, description="Network evaluations per image that all rounds of a figure may cost together."
    )
    budget_seconds: float | None = Field(
        None,
        gt=0,
        description="Seconds of computing, summed over shards, that all rounds of a figure may cost; unset: no limit.",
    )


class EvaluationConfig(Section):
    """How a trained model is scored."""

    checkpoint: Literal["best", "last"] = Field(
        "best", description="Score the `best` epoch by validation, or the `last` (the only choice without validation)."
    )
    seed: Seed = Field(0, description="Seed of all posterior samples, momenta and simulated images in the evaluation.")
    bound_images: Size | None = Field(
        None,
        description="Images of each split on which the final negative ELBO is measured, or all if a split has fewer; "
        "unset: all.",
    )
    binarisations: Size = Field(
        1,
        le=1000,
        description="Fixed binarisations of the test images over which test figures are averaged; their seeds are "
        "`data.binarisation_seed` and the numbers after it.",
    )
    importance_sampling: ImportanceSamplingConfig = ImportanceSamplingConfig()
    hais: HaisConfig = HaisConfig()
    sandwich: SandwichConfig = SandwichConfig()
    until_error: UntilErrorConfig = UntilErrorConfig()

    @property
    def sandwich_starts(self) -> tuple[Start, ...]:
        """The starts of the sandwich, their default resolved; empty if it is off."""
        if not self.sandwich.enabled:
            return ()
        return (self.hais.start,) if self.sandwich.starts is None else self.sandwich.starts

    @model_validator(mode="after")
    def _step_sizes_are_ordered_from_every_start(self) -> EvaluationConfig:
        for start in self.sandwich_starts:
            problem = self.hais.resolved(start).step_size_problem
            if problem is not None:
                raise ValueError(
                    f"sandwich.starts has '{start}': in hais, {problem}, or leave '{start}' out of sandwich.starts"
                )
        return self

    @model_validator(mode="after")
    def _an_error_can_be_known(self) -> EvaluationConfig:
        if self.until_error.target is None:
            return self
        counts = {"importance_sampling.samples": self.importance_sampling.samples}
        if self.hais.enabled:
            counts["hais.chains"] = self.hais.resolved().chains
        for key, count in counts.items():
            if count < 2:
                raise ValueError(
                    f"until_error.target needs a standard error, and {key} = {count} gives none; take at least 2"
                )
        return self
