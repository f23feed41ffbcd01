"""A job: one figure, as a course of rounds of tasks.

A course is a generator: it yields the tasks to be done next, is sent their results, and returns the figure. Who does
the tasks, where and in what order, it does not know: one process does them one by one, a rerun many courses' at once.
Sent results that were kept, it comes to where it stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

from iafsweep.config import RunConfig, Start
from iafsweep.estimators.noise import NOISE_BLOCK
from iafsweep.estimators.standard_errors import estimator_error
from iafsweep.estimators.stopping import Progress, UntilError, search
from iafsweep.evaluation.scoring import FrozenStepSize
from iafsweep.evaluation.shards import SHARD_IMAGES, ShardResult, merge_parts, plan_shards
from iafsweep.evaluation.simulated import SandwichResult, SimulatedShard, summarise_sandwich
from iafsweep.evaluation.summary import by_binarisation, error_of_images, mean_over_binarisations, seconds_of, summarise
from iafsweep.evaluation.tasks import PilotWork, Result, Task, make_task
from iafsweep.records import Estimate, FigureKind, Method, Round, SandwichEstimate, Split, UntilErrorReport


@dataclass(frozen=True)
class Job:
    """A figure of the first images of a split."""

    method: Method
    split: Split
    images: int


@dataclass(frozen=True)
class SandwichJob:
    """Both bounds on images simulated from the model."""

    start: Start
    images: int


def kind_of(job: Job | SandwichJob) -> FigureKind:
    """Return which figure a job makes."""
    return "sandwich" if isinstance(job, SandwichJob) else job.method


@dataclass(frozen=True)
class Scored:
    """What a job came to.

    Attributes:
        figure: the figure.
        results: what it was made of.
        config: the configuration it ended with.
    """

    figure: Estimate | SandwichEstimate
    results: tuple[ShardResult | SandwichResult, ...]
    config: RunConfig


@dataclass(frozen=True)
class _Gathered:
    """What an effort came to: of the whole effort, and the configuration that says how it was spent."""

    results: list[ShardResult]
    config: RunConfig
    pilot: FrozenStepSize | None = None


Course = Generator[list[Task], Mapping[str, Result], Scored]
_Gather = Generator[list[Task], Mapping[str, Result], _Gathered]


def course(job: Job | SandwichJob, config: RunConfig) -> Course:
    """Return the course of a job."""
    if isinstance(job, SandwichJob):
        return _sandwich(job, config)
    if job.method == "hais":
        return _annealed(job, config)
    return _sampled(job, config)


def _sampled(job: Job, config: RunConfig) -> Course:
    """The bound, or importance sampling; a search adds samples to those it has."""
    gathered: list[ShardResult] = []

    def up_to(samples: int) -> _Gather:
        nonlocal gathered
        known = gathered[0].shard.samples if gathered else 0
        tasks = _shard_tasks(job, config, samples - known, first_sample=known)
        results = yield tasks
        new = [_shard_result(results, task) for task in tasks]
        gathered = [merge_parts(*pair) for pair in zip(gathered, new, strict=True)] if gathered else new
        return _Gathered(gathered, config)

    if job.method == "negative_elbo":
        found = yield from up_to(1)
        return Scored(summarise(found.results, config.evaluation), tuple(found.results), config)
    samples = config.evaluation.importance_sampling.samples
    if config.evaluation.until_error.target is not None:
        # Further samples go on at a block of noise that no earlier ones have used.
        samples = NOISE_BLOCK * math.ceil(samples / NOISE_BLOCK)
    return (yield from _search(job, config, up_to, samples, keeps=True))


def _annealed(job: Job, config: RunConfig) -> Course:
    """HAIS; a search doubles the temperatures and begins afresh.

    More chains take away bias as 1 / C only once the variance of log-weights is below about one, and temperatures
    bring it there: for the same number of gradients they leave less bias. So half of the effort is half of the
    temperatures, the round before: half of the chains, as biased as all of them but for that 1 / C, would show little.
    """

    def with_temperatures(temperatures: int) -> _Gather:
        changed = _with_temperatures(config, temperatures)
        seed = config.data.binarisation_seed
        hais = changed.evaluation.hais
        images = min(job.images, hais.pilot_images)
        work = PilotWork(start=hais.start, on="test", images=images, binarisation_seed=seed)
        pilot = make_task("hais pilot", work, changed)
        tasks = _shard_tasks(job, changed, hais.resolved_chains, pilot=pilot)
        results = yield [pilot, *tasks]
        return _Gathered([_shard_result(results, task) for task in tasks], changed, _pilot_result(results, pilot))

    temperatures = config.evaluation.hais.resolved_temperatures
    return (yield from _search(job, config, with_temperatures, temperatures, keeps=False))


def _sandwich(job: SandwichJob, config: RunConfig) -> Course:
    images = min(job.images, config.evaluation.hais.pilot_images)
    work = PilotWork(start=job.start, on="simulated", images=images, binarisation_seed=0)
    pilot = make_task(f"sandwich {job.start} pilot", work, config)
    tasks = [
        make_task(
            f"sandwich {job.start}",
            SimulatedShard(start=job.start, first=first, count=min(SHARD_IMAGES, job.images - first)),
            config,
            pilot,
        )
        for first in range(0, job.images, SHARD_IMAGES)
    ]
    results = yield [pilot, *tasks]
    found = [result for task in tasks if isinstance(result := results[task.name], SandwichResult)]
    figure = summarise_sandwich(found, config.evaluation, _pilot_result(results, pilot))
    return Scored(figure, tuple(found), config)


def _search(job: Job, config: RunConfig, gather: Callable[[int], _Gather], first_effort: int, *, keeps: bool) -> Course:
    """Do one round, or, where an error is aimed at, as many as it takes.

    Args:
        job: the figure.
        config: the run's configuration.
        gather: the tasks that bring the effort up to a number.
        first_effort: of the first round.
        keeps: whether a round keeps the work of the one before, and so has half of its effort within; else it begins
            afresh, and the round before is that half.
    """
    settings = config.evaluation.until_error
    if settings.target is None:
        found = yield from gather(first_effort)
        return Scored(
            summarise(found.results, found.config.evaluation, found.pilot), tuple(found.results), found.config
        )
    spent: list[tuple[float, int]] = []  # seconds and evaluations an image of the rounds so far

    def may_spend(effort: int) -> bool:
        # The next round costs as much as all before it if it keeps them, else twice the last one.
        seconds, evaluations = spent[-1]
        before = spent[-1] if keeps else (math.fsum(each[0] for each in spent), sum(each[1] for each in spent))
        is_cheap = before[1] + (1 if keeps else 2) * evaluations <= settings.budget_evaluations
        limit = math.inf if settings.budget_seconds is None else settings.budget_seconds
        return is_cheap and before[0] + (1 if keeps else 2) * seconds <= limit

    steps = search(settings.target, first_effort, may_spend)
    effort = next(steps)
    earlier = math.nan  # the first round has none before it, and is never enough
    while True:
        found = yield from gather(effort)
        figure = summarise(found.results, found.config.evaluation, found.pilot)
        spent.append((seconds_of(found.results, found.pilot), figure.network_evaluations))
        progress = _progress(effort, found.results, None if keeps else earlier)
        earlier = progress.estimate
        try:
            effort = steps.send(progress)
        except StopIteration as end:
            evaluations = spent[-1][1] if keeps else sum(each[1] for each in spent)
            figure = figure.model_copy(update={"until_error": _report(end.value, evaluations)})
            return Scored(figure, tuple(found.results), found.config)


def _progress(effort: int, results: Sequence[ShardResult], half: float | None) -> Progress:
    of_seed = by_binarisation(results)
    if half is None:
        half = float(mean_over_binarisations(of_seed, "half_log_likelihood").mean())
    return Progress(
        effort=effort,
        estimate=float(mean_over_binarisations(of_seed, "log_likelihood").mean()),
        half_estimate=half,
        standard_error=estimator_error(error_of_images(of_seed)),
    )


def _report(found: UntilError, evaluations: int) -> UntilErrorReport:
    return UntilErrorReport(
        target=found.target,
        stopped_by=found.stopped_by,
        rounds=tuple(
            Round(
                effort=each.effort,
                nll=-each.estimate,
                half_nll=None if math.isnan(each.half_estimate) else -each.half_estimate,
                estimator_error=each.standard_error,
            )
            for each in found.rounds
        ),
        network_evaluations=evaluations,
    )


def _shard_tasks(
    job: Job, config: RunConfig, samples: int, *, first_sample: int = 0, pilot: Task | None = None
) -> list[Task]:
    count = config.evaluation.binarisations if job.split == "test" else 1
    return [
        make_task(f"{job.method} {job.split}", shard, config, pilot)
        for seed in range(config.data.binarisation_seed, config.data.binarisation_seed + count)
        for shard in plan_shards(job.method, job.split, job.images, samples, seed, first_sample)
    ]


def _with_temperatures(config: RunConfig, temperatures: int) -> RunConfig:
    hais = config.evaluation.hais.model_copy(update={"temperatures": temperatures})
    return config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"hais": hais})})


def _shard_result(results: Mapping[str, Result], task: Task) -> ShardResult:
    result = results[task.name]
    if not isinstance(result, ShardResult):
        raise TypeError(f"the result of {task.name} is no ShardResult")
    return result


def _pilot_result(results: Mapping[str, Result], pilot: Task) -> FrozenStepSize:
    result = results[pilot.name]
    if not isinstance(result, FrozenStepSize):
        raise TypeError(f"the result of {pilot.name} is no FrozenStepSize")
    return result
