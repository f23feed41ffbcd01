"""The ``[sweep]`` table: how many trials there are, what proposes them, what stops them, and their resources.

Also ``[procedure]``, how a sweep proposes and decides. A sweep records it when it begins, so that later versions
continue the sweep in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from iafsweep.config.data import Seed
from iafsweep.config.family import Family, Member
from iafsweep.config.section import Section

_FEWEST_MEMBERS = 4
"""One quarter of the members copies another quarter."""

Objective = Literal["bound", "bound_and_time"]
"""What a search minimises."""


@dataclass(frozen=True)
class SamplerMember(Member):
    """An entry of the registry of samplers.

    Attributes:
        learns: whether it proposes by the results of trials, including those of a warm start.
        objectives: what it can minimise; a sampler that does not learn goes with any objective.
    """

    learns: bool = False
    objectives: tuple[Objective, ...] = ("bound", "bound_and_time")


SAMPLERS = Family(
    "sweep.sampler",
    {
        "auto": SamplerMember("iafsweep.sweep.samplers.auto:auto_proposer", learns=True),
        "tpe": SamplerMember("iafsweep.sweep.samplers.tpe:tpe_proposer", learns=True),
        "gp": SamplerMember("iafsweep.sweep.samplers.gp:gp_proposer", learns=True),
        "cmaes": SamplerMember("iafsweep.sweep.samplers.cmaes:cmaes_proposer", learns=True, objectives=("bound",)),
        "nsga2": SamplerMember(
            "iafsweep.sweep.samplers.nsga2:nsga2_proposer", learns=True, objectives=("bound_and_time",)
        ),
        "random": Member("iafsweep.sweep.samplers.sequences:random_proposer"),
        "grid": Member("iafsweep.sweep.samplers.sequences:grid_proposer"),
        "quasi_random": Member("iafsweep.sweep.samplers.sequences:quasi_random_proposer"),
        "listed": Member("iafsweep.sweep.samplers.sequences:ListedProposer"),
    },
)
"""Every sampler, by the name configurations use."""

SCHEDULERS = Family(
    "sweep.scheduler",
    {
        "asha": Member("iafsweep.sweep.schedulers.asha:make_rungs"),
        "asha_promotion": Member("iafsweep.sweep.schedulers.promotion:make_promoting_rungs"),
        "hyperband": Member("iafsweep.sweep.schedulers.hyperband:make_brackets"),
        "median": Member("iafsweep.sweep.schedulers.median:make_median_rule"),
        "pbt": Member("iafsweep.sweep.schedulers.base:stop_nobody"),  # members wait for each other instead
        "none": Member("iafsweep.sweep.schedulers.base:stop_nobody"),
    },
)
"""Every scheduler, by the name configurations use."""


class SweepConfig(Section):
    """How a search space is searched."""

    trials: int = Field(16, ge=1, description="Configurations to train; `grid` ends earlier if it is used up.")
    seed: Seed = Field(0, description="Seed of the sampler, from which each trial's own seed derives too.")
    sampler: Annotated[str, SAMPLERS] = Field(
        "auto",
        description="What proposes configurations. Samplers that learn from trials: `auto` (`gp` for the first hundred "
        "trials, then `tpe`), `tpe`, `gp` (Gaussian process), `cmaes` (for numbers without a condition; the rest as "
        "`tpe`), `nsga2` (two objectives). Samplers that do not: `random`, `grid` (finite spaces), `quasi_random` "
        "(Sobol), `listed` (only the points of [[sweep.try]]).",
    )
    repeats: int = Field(
        1, ge=1, description="Seeds with which each configuration is trained; above 1 for `listed` only."
    )
    objective: Objective = Field(
        "bound",
        description="What a sampler that learns minimises: the validation bound, or both that and the seconds per "
        "epoch. Ranks are by the bound; the leaderboard marks the Pareto front of both in either case.",
    )
    scheduler: Annotated[str, SCHEDULERS] = Field(
        "asha",
        description="What happens to weak trials. `asha`, `hyperband` (rungs that begin late for some trials) and "
        "`median` stop them early. `asha_promotion` does too, but resumes the best of them later. `pbt` continues them "
        "from copies of strong ones with changed values. `none` leaves them alone.",
    )
    generation_epochs: int | None = Field(
        None, ge=1, description="`pbt`: epochs between two exchanges; unset: an eighth of training.epochs, at least 1."
    )
    grace_epochs: int | None = Field(
        None,
        ge=1,
        description="No trial is stopped before this many epochs; must exceed the longest KL warm-up. Unset: the "
        "longest warm-up + 1, or the fewest epochs divided by the square of the reduction factor if that is more.",
    )
    reduction_factor: int = Field(3, ge=2, description="At each rung, about one in this many trials goes on.")
    max_concurrent: int | None = Field(None, ge=1, description="Most trials that run at a time; unset: as many as fit.")
    top: int = Field(3, ge=0, description="Number of best trials that are scored after the sweep; 0: none.")
    gpus_per_trial: float | None = Field(
        None, ge=0, description="GPUs per trial, fractions allowed; unset: 1 if there are GPUs, else 0."
    )
    cpus_per_trial: int = Field(1, ge=1, description="CPU cores per trial, which is also its number of threads.")
    memory_per_trial: float = Field(1.0, gt=0, description="Main memory that each trial's process is assumed to need.")
    free_disk: float = Field(1.0, ge=0, description="Disk space that must stay free; below it no trial begins.")
    gpu_hours: float | None = Field(
        None, gt=0, description="Training ends when the trials have used this many GPU-hours; unset: no limit."
    )
    target: float | None = Field(
        None, description="Training ends when a completed trial's validation bound is this low; unset: it does not."
    )

    @model_validator(mode="after")
    def _gpus_whole_above_one(self) -> SweepConfig:
        if self.gpus_per_trial is not None and self.gpus_per_trial > 1 and self.gpus_per_trial % 1:
            raise ValueError(
                f"gpus_per_trial = {self.gpus_per_trial} is above 1 but not whole; take a fraction below 1 or a "
                f"whole number"
            )
        return self

    @model_validator(mode="after")
    def _sampler_can_do_the_objective(self) -> SweepConfig:
        member = SAMPLERS.members[self.sampler]
        if isinstance(member, SamplerMember) and self.objective not in member.objectives:
            others = [kind for kind, other in SAMPLERS.members.items() if _learns_by(other, self.objective)]
            raise ValueError(
                f"sampler = {self.sampler!r} is for objective = {member.objectives[0]!r}, got {self.objective!r}; "
                f"change one of them (samplers for this objective: {', '.join(map(repr, others))})"
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
                "scheduler = 'pbt' draws its first members at random and judges by the bound alone; set "
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


def _learns_by(member: Member, objective: Objective) -> bool:
    return isinstance(member, SamplerMember) and member.learns and objective in member.objectives


class Procedure(Section):
    """The constants and rules behind ``[sweep]``, the table ``[procedure]`` of a sweep's own ``sweep.toml``.

    The defaults are the behaviour of 0.1.0, whose sweeps have no such table, so they must not change. A version that
    behaves differently says so in :data:`NEW_SWEEPS`, and keeps the former behaviour for sweeps that ask for it.
    """

    startup_share: int = Field(4, ge=1, description="A sampler learns once one in this many trials has ended.")
    startup_fewest: int = Field(4, ge=1, description="Fewest ended trials from which a sampler learns.")
    startup_most: int = Field(10, ge=1, description="Most ended trials that a sampler waits for.")
    startup: Literal["random", "sobol"] = Field(
        "random",
        description="`tpe`: whether the values until then are drawn at random or come from a scrambled Sobol sequence, "
        "as those of the other samplers that learn do.",
    )
    gp_trials: int = Field(100, ge=0, description="`auto`: trials proposed by `gp` before `tpe` takes over.")
    duplicates: int = Field(100, ge=1, description="The sweep ends after this many repeated proposals in a row.")
    tpe_duplicates: int = Field(
        25, ge=1, description="After this many repeated proposals, samplers that learn draw at random."
    )
    grid_digits: int | None = Field(
        12, ge=1, le=17, description="Digits to which steps of a float are rounded; unset: exact decimal numbers."
    )
    told: Literal["best_bound_or_pruned"] = Field(
        "best_bound_or_pruned",
        description="What `tpe` learns from: the best bound of a completed trial. A stopped trial counts as pruned at "
        "its last bound, one that ended otherwise as pruned at a bad bound, an unfinished one as running.",
    )
    estimates: Literal["less_median_gain"] = Field(
        "less_median_gain",
        description="What `gp` and `cmaes` take for the final bound of a stopped trial: its bound at the last rung "
        "that completed trials passed, less the median of what these gained from there on, but no better than the "
        "best. For other trials, and without such a rung, it is the worst.",
    )
    inactive: Literal["random"] = Field(
        "random", description="`gp`, `nsga2`: the value reported for an inactive parameter: one drawn at random."
    )
    nsga2_generations: int = Field(
        8,
        ge=2,
        description="`nsga2`: generations of a sweep. A generation is complete once its share of the trials, 4 to 50, "
        "has completed.",
    )
    stops: Literal["above_quantile"] = Field(
        "above_quantile",
        description="`asha`, `hyperband`: a trial stops if its bound is above the 1/reduction_factor quantile of those "
        "recorded at its rung before it. The first rung is at `sweep.grace_epochs`.",
    )
    median_checks: int = Field(16, ge=1, description="`median`: most times that a trial is judged, evenly spaced.")
    median_fewest: int = Field(4, ge=1, description="`median`: fewest other trials to judge a trial against.")
    generations: int = Field(8, ge=1, description="`pbt`: generations, unless `sweep.generation_epochs` is set.")
    copied_share: int = Field(
        4, ge=2, description="`pbt`: the weakest one in this many copy the best one in this many."
    )
    moved_by: float = Field(0.2, gt=0, lt=1, description="`pbt`: share of itself by which each value of a copy moves.")
    redrawn: float = Field(0.25, ge=0, le=1, description="`pbt`: probability that a value is drawn anew instead.")


NEW_SWEEPS = Procedure(grid_digits=None, startup="sobol")
"""The procedure of sweeps that begin with this version."""
