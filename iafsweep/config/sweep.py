"""The ``[sweep]`` table: how many trials, who proposes them, who stops them, on what they run.

And ``[procedure]``, how a sweep proposes and decides: recorded when it begins, so that later versions go on as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from iafsweep.config.data import Seed
from iafsweep.config.family import Family, Member
from iafsweep.config.section import Section

_FEWEST_MEMBERS = 4
"""A quarter of the members copies another quarter."""

Objective = Literal["bound", "bound_and_time"]
"""What a search makes small."""


@dataclass(frozen=True)
class SamplerMember(Member):
    """A line of the registry of samplers.

    Attributes:
        learns: whether it proposes by what trials came to, those of a warm start too.
        objectives: what it can make small; one that does not learn goes with any.
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

    trials: int = Field(16, ge=1, description="Configurations to train; `grid` ends earlier when it is used up.")
    seed: Seed = Field(0, description="Seed of the sampler, and of each trial's own seed.")
    sampler: Annotated[str, SAMPLERS] = Field(
        "auto",
        description="Who proposes: `auto` (`gp` the first hundred trials, then `tpe`), `tpe`, `gp` (Gaussian "
        "process), `cmaes` (numbers without a condition; the rest as `tpe`), `nsga2` (two objectives), all five by "
        "what trials came to; `random`, `grid` (finite spaces), `quasi_random` (Sobol), or `listed`: the points of "
        "[[sweep.try]] and no others.",
    )
    repeats: int = Field(
        1, ge=1, description="Seeds that each configuration is trained with; above 1 for `listed` only."
    )
    objective: Objective = Field(
        "bound",
        description="What a sampler that learns makes small: the validation bound, or that and the seconds of an "
        "epoch. Ranks are by the bound; the leaderboard marks the Pareto front of both in any case.",
    )
    scheduler: Annotated[str, SCHEDULERS] = Field(
        "asha",
        description="What becomes of weak trials: `asha`, `hyperband` (rungs that begin late for some trials) and "
        "`median` stop them early, `asha_promotion` too but lets the best of them go on later, `pbt` lets them go on "
        "from copies of strong ones with changed values, `none` leaves them alone.",
    )
    generation_epochs: int | None = Field(
        None, ge=1, description="`pbt`: epochs between two exchanges; unset: an eighth of training.epochs, at least 1."
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


def _learns_by(member: Member, objective: Objective) -> bool:
    return isinstance(member, SamplerMember) and member.learns and objective in member.objectives


class Procedure(Section):
    """The constants and rules behind ``[sweep]``, the table ``[procedure]`` of a sweep's own ``sweep.toml``.

    The defaults are what 0.1.0 did, whose sweeps have no such table: they stay. A version that does otherwise says so
    in :data:`NEW_SWEEPS`, and keeps doing the former for sweeps that say it.
    """

    startup_share: int = Field(4, ge=1, description="A sampler learns when one in so many trials has ended,")
    startup_fewest: int = Field(4, ge=1, description="but so many at least,")
    startup_most: int = Field(10, ge=1, description="and so many at most.")
    startup: Literal["random", "sobol"] = Field(
        "random",
        description="`tpe`: until then values are drawn at random, or are those of a scrambled Sobol sequence, as they "
        "are of the other samplers that learn.",
    )
    gp_trials: int = Field(100, ge=0, description="`auto`: so many trials are proposed by `gp`, later ones by `tpe`.")
    duplicates: int = Field(100, ge=1, description="So many proposals in a row that were tried before end the sweep.")
    tpe_duplicates: int = Field(
        25, ge=1, description="After so many of them of a sampler that learns the rest are drawn at random."
    )
    grid_digits: int | None = Field(
        12, ge=1, le=17, description="Digits that steps of a float are rounded to; unset: they are decimal numbers."
    )
    told: Literal["best_bound_or_pruned"] = Field(
        "best_bound_or_pruned",
        description="What `tpe` is told: the best bound of a completed trial; a stopped one is pruned at its last "
        "bound, others at a bad one; unfinished ones are running.",
    )
    estimates: Literal["less_median_gain"] = Field(
        "less_median_gain",
        description="What `gp` and `cmaes` take a stopped trial's bound for: that at its last rung which completed "
        "trials passed, less what these gained from there on, in the median, but no better than the best; of others, "
        "and where nothing tells, the worst.",
    )
    inactive: Literal["random"] = Field(
        "random", description="`gp`, `nsga2`: what an inactive parameter is told as: a value drawn at random."
    )
    nsga2_generations: int = Field(
        8, ge=2, description="`nsga2`: generations of a sweep; each is complete when so many trials completed, 4 to 50."
    )
    stops: Literal["above_quantile"] = Field(
        "above_quantile",
        description="`asha`, `hyperband`: a trial stops whose bound is above the 1/reduction_factor quantile of those "
        "at its rung before it; the first rung is at the epochs that `sweep.grace_epochs` says.",
    )
    median_checks: int = Field(16, ge=1, description="`median`: a trial is judged so often at most, evenly spaced,")
    median_fewest: int = Field(4, ge=1, description="and beside so many others at least.")
    generations: int = Field(8, ge=1, description="`pbt`: generations, unless `sweep.generation_epochs` is set.")
    copied_share: int = Field(4, ge=2, description="`pbt`: one in so many members copies one in so many.")
    moved_by: float = Field(0.2, gt=0, lt=1, description="`pbt`: a copy's values are moved by this share of them.")
    redrawn: float = Field(0.25, ge=0, le=1, description="`pbt`: probability that a value is drawn anew instead.")


NEW_SWEEPS = Procedure(grid_digits=None, startup="sobol")
"""What sweeps begin with that begin with this version."""
