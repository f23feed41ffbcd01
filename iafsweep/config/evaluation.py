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

    samples: Size = Field(1000, description="Posterior samples an image, S.")
    images: Size | None = Field(None, description="Score the first so many test images; unset: all.")


class _Defaults(NamedTuple):
    """What unset fields of `HaisConfig` stand for, from one start."""

    chains: int
    temperatures: int
    leapfrog_steps: int
    schedule: Literal["linear", "sigmoid"]
    target_acceptance: float
    initial_step_size: float


# From the posterior what docs/estimators.md measured as most exact for its cost; else the reference's settings, whose
# grid of 500 points has 499 increments.
_FROM_POSTERIOR = _Defaults(8, 80, 3, "linear", 0.8, 0.1)
_FROM_ELSEWHERE = _Defaults(16, 499, 10, "sigmoid", 0.65, 0.01)


_UNSAID = ("schedule", "initial_step_size", "minimum_step_size", "maximum_step_size", "target_acceptance")


class HaisSettings(NamedTuple):
    """Settings of annealing from one start, none of them unset; the fields are those of `HaisConfig`."""

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
        """Temperatures, leapfrog steps, chains, as figures carry them; what else moves them, where it is not usual."""
        usual = HaisConfig(leapfrog_steps=self.leapfrog_steps).resolved(self.start)
        values = ((name, getattr(self, name)) for name in _UNSAID)
        said = "".join(f" {name}={value}" for name, value in values if value != getattr(usual, name))
        return f"{self.temperatures}x{self.leapfrog_steps}x{self.chains}{said}"

    @property
    def step_size_problem(self) -> str | None:
        """What is wrong with the limits of the step size, and what to do; None if nothing is."""
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
    """What an unset field stands for, in words."""
    values = getattr(_FROM_POSTERIOR, name), getattr(_FROM_ELSEWHERE, name)
    return f"unset: {values[0]} from the posterior, {values[1]}{note} from prior or base"


class HaisConfig(Section):
    """Hamiltonian annealed importance sampling."""

    enabled: bool = Field(default=False, description="Whether test images are scored by HAIS too.")
    start: Start = Field(
        "posterior",
        description="Where chains start: the full flow `posterior` (annealed in its base noise), the `prior`, "
        "or the Gaussian `base` of the posterior.",
    )
    images: Size | None = Field(None, description="Score the first so many test images; unset: all.")
    chains: Size | None = Field(None, description=f"Chains an image, C; {_unset('chains')}.")
    temperatures: Size | None = Field(
        None, le=10_000_000, description=f"Weight increments T; {_unset('temperatures', ' (a grid of 500 points)')}."
    )
    leapfrog_steps: Size | None = Field(
        None, description=f"Leapfrog steps of one HMC move; {_unset('leapfrog_steps')}."
    )
    schedule: Literal["linear", "sigmoid"] | None = Field(
        None, description=f"Spacing of inverse temperatures; {_unset('schedule')}."
    )
    initial_step_size: float | None = Field(
        None,
        gt=0,
        description=f"Leapfrog step size at which the pilot run begins; {_unset('initial_step_size')} (the maximum, "
        "where that is smaller).",
    )
    minimum_step_size: float = Field(1e-4, gt=0, description="The pilot run keeps the step size above this.")
    maximum_step_size: float | None = Field(
        None,
        gt=0,
        description="The pilot run keeps the step size below this; unset: 2 / leapfrog_steps from the posterior, "
        "0.5 from prior or base.",
    )
    target_acceptance: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Acceptance rate the pilot run aims at; "
        f"unset: {_FROM_POSTERIOR.target_acceptance} from the posterior, else {_FROM_ELSEWHERE.target_acceptance}.",
    )
    pilot_images: Size = Field(25, description="Images of the pilot run that tunes the step size before it is frozen.")
    pilot_passes: Size = Field(3, description="Annealing passes of the pilot run; their weights are thrown away.")

    def resolved(self, start: Start | None = None) -> HaisSettings:
        """Return these settings for chains from a start (None: their own), with what unset fields stand for there.

        Annealing in the base noise begins at N(0, I), on which Hamiltonian dynamics is a rotation by the angle
        L x step size: a quarter turn forgets where it began, half a turn comes back to its mirror image. On a good
        posterior acceptance alone would not stop the step size there; so its maximum is 2 / L.
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
    """Bidirectional Monte Carlo on images simulated from the model: a lower and an upper bound, and their gap."""

    enabled: bool = Field(default=False, description="Whether both bounds are measured.")
    images: Size = Field(100, le=1_000_000, description="Images simulated from the model.")
    starts: Starts | None = Field(
        None,
        description="Starts to measure, each with the settings of `evaluation.hais` (those left unset are resolved for "
        "the start); unset: HAIS's own start.",
    )

    @model_validator(mode="after")
    def _starts_differ(self) -> SandwichConfig:
        if self.starts is not None and len(set(self.starts)) != len(self.starts):
            raise ValueError(f"starts must differ from each other, got {list(self.starts)}; name each once")
        return self


class UntilErrorConfig(Section):
    """Go on until test figures are exact enough: more samples, or more temperatures."""

    target: float | None = Field(
        None,
        gt=0,
        description="Double the effort until the estimator's standard error and the difference between all and half of "
        "the effort (samples, or temperatures) are below so many nats; unset: one round with the settings given.",
    )
    budget_evaluations: Size = Field(
        100_000, description="Network evaluations an image that all rounds of a figure may cost together."
    )
    budget_seconds: float | None = Field(
        None,
        gt=0,
        description="Seconds of computing, added up over shards, that all rounds of a figure may cost; unset: any.",
    )


class EvaluationConfig(Section):
    """How a trained model is scored."""

    checkpoint: Literal["best", "last"] = Field(
        "best", description="Score the `best` epoch by validation, or the `last` (the only one without validation)."
    )
    seed: Seed = Field(0, description="Seed of all posterior samples, momenta and simulated images of the evaluation.")
    bound_images: Size | None = Field(
        None,
        description="Images of each split on which the final negative ELBO is measured, all where a split has fewer; "
        "unset: all.",
    )
    binarisations: Size = Field(
        1,
        le=1000,
        description="Fixed binarisations of the test images that test figures are averaged over; their seeds are "
        "`data.binarisation_seed` and the numbers after it.",
    )
    importance_sampling: ImportanceSamplingConfig = ImportanceSamplingConfig()
    hais: HaisConfig = HaisConfig()
    sandwich: SandwichConfig = SandwichConfig()
    until_error: UntilErrorConfig = UntilErrorConfig()

    @property
    def sandwich_starts(self) -> tuple[Start, ...]:
        """The starts of the sandwich with their default resolved; none where it is off."""
        if not self.sandwich.enabled:
            return ()
        return (self.hais.start,) if self.sandwich.starts is None else self.sandwich.starts

    @model_validator(mode="after")
    def _step_sizes_are_ordered_from_every_start(self) -> EvaluationConfig:
        for start in self.sandwich_starts:
            problem = self.hais.resolved(start).step_size_problem
            if problem is not None:
                raise ValueError(
                    f"sandwich.starts has '{start}': of hais, {problem}, or leave '{start}' out of sandwich.starts"
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
