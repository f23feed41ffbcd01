"""Jobs: a job is one figure, measured in rounds of tasks.

A measurement returns the tasks to be done next, takes their results, and finally has the figure. It does not know who
does the tasks, where, or in what order: one process does them one by one, a rerun does those of many figures in
parallel. Given stored results, it continues where it stopped.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

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

_Kind = TypeVar("_Kind", FrozenStepSize, ShardResult)


@dataclass(frozen=True)
class Job:
    """A figure of the first ``images`` images of a split."""

    method: Method
    split: Split
    images: int


@dataclass(frozen=True)
class SandwichJob:
    """Both bounds on images simulated from the model."""

    start: Start
    images: int


def kind_of(job: Job | SandwichJob) -> FigureKind:
    """Return the kind of figure that a job measures."""
    return "sandwich" if isinstance(job, SandwichJob) else job.method


@dataclass(frozen=True)
class Scored:
    """The outcome of a job.

    ``results`` are the results behind the figure; ``config`` is the configuration that the job ended with.
    """

    figure: Estimate | SandwichEstimate
    results: tuple[ShardResult | SandwichResult, ...]
    config: RunConfig


class Measurement(ABC):
    """The measurement of a figure in rounds of tasks; each round depends on the results of earlier ones."""

    def __init__(self, tasks: list[Task]) -> None:
        self._tasks = tasks
        self._scored: Scored | None = None

    def tasks(self) -> Sequence[Task]:
        """Return the tasks of the next round; none once the figure is complete."""
        return self._tasks

    @abstractmethod
    def take(self, results: Mapping[str, Result]) -> None:
        """Take the results of all tasks of a round, by task name."""

    @property
    def scored(self) -> Scored:
        """The outcome, once no tasks are left."""
        assert self._scored is not None
        return self._scored

    def _end(self, scored: Scored) -> None:
        self._tasks, self._scored = [], scored


def measure(job: Job | SandwichJob, config: RunConfig) -> Measurement:
    """Start the measurement of a job."""
    return _Sandwich(job, config) if isinstance(job, SandwichJob) else _Estimation(job, config)


class _Sandwich(Measurement):
    """Both bounds on simulated images, in one round."""

    def __init__(self, job: SandwichJob, config: RunConfig) -> None:
        self._config = config
        images = min(job.images, config.evaluation.hais.pilot_images)
        work = PilotWork(start=job.start, on="simulated", images=images, binarisation_seed=0)
        self._pilot = make_task(f"sandwich {job.start} pilot", work, config)
        shards = (
            SimulatedShard(start=job.start, first=first, count=min(SHARD_IMAGES, job.images - first))
            for first in range(0, job.images, SHARD_IMAGES)
        )
        tasks = [make_task(f"sandwich {job.start}", shard, config, self._pilot) for shard in shards]
        super().__init__([self._pilot, *tasks])

    def take(self, results: Mapping[str, Result]) -> None:
        found = [result for task in self._tasks if isinstance(result := results[task.name], SandwichResult)]
        figure = summarise_sandwich(
            found,
            self._config.evaluation,
            _result_of(self._pilot, results, FrozenStepSize),
            self._config.image_format.dimensions,
            autoregressive=self._config.model.decoder.is_autoregressive,
        )
        self._end(Scored(figure, tuple(found), self._config))


class _Estimation(Measurement):
    """The bound, importance sampling or HAIS: one round, or as many as a target error takes.

    Importance sampling adds samples to those it has, so the estimate from half of the effort comes from the same
    samples. HAIS doubles the temperatures and starts again, because for the same number of gradients temperatures leave
    less bias than chains: more chains reduce bias as 1 / C only once the variance of log-weights is below about one,
    which takes more temperatures. Half of the effort is therefore the previous round, with half of the temperatures.
    Half of the chains would reveal little, because their bias differs from that of all chains only by that 1 / C.
    """

    def __init__(self, job: Job, config: RunConfig) -> None:
        self._job = job
        self._config = config
        self._keeps = job.method != "hais"
        self._pilot: Task | None = None
        self._gathered: list[ShardResult] = []
        self._earlier = math.nan  # the first round has no predecessor, so it never suffices
        self._spent: list[tuple[float, int]] = []  # seconds, and evaluations per image, of each round so far
        target = config.evaluation.until_error.target
        is_search = target is not None and job.method != "negative_elbo"
        self._effort = self._first_effort(is_search=is_search)
        self._search = None
        if target is not None and is_search:
            self._search = search(target, self._effort, self._may_spend)
            next(self._search)  # the first effort
        super().__init__(self._round())

    def take(self, results: Mapping[str, Result]) -> None:
        pilot = None if self._pilot is None else _result_of(self._pilot, results, FrozenStepSize)
        new = [_result_of(task, results, ShardResult) for task in self._tasks if task is not self._pilot]
        is_more = self._keeps and self._gathered
        self._gathered = [merge_parts(*pair) for pair in zip(self._gathered, new, strict=True)] if is_more else new
        figure = summarise(
            self._gathered,
            self._config.evaluation,
            pilot,
            self._config.image_format.dimensions,
            autoregressive=self._config.model.decoder.is_autoregressive,
        )
        if self._search is None:
            self._end(Scored(figure, tuple(self._gathered), self._config))
            return
        self._spent.append((seconds_of(self._gathered, pilot), figure.network_evaluations))
        progress = _progress(self._effort, self._gathered, None if self._keeps else self._earlier)
        self._earlier = progress.estimate
        try:
            self._effort = self._search.send(progress)
        except StopIteration as end:
            report = _report(end.value, self._all_spent()[1])
            figure = figure.model_copy(update={"until_error": report})
            self._end(Scored(figure, tuple(self._gathered), self._config))
        else:
            self._tasks = self._round()

    def _first_effort(self, *, is_search: bool) -> int:
        evaluation = self._config.evaluation
        if self._job.method == "negative_elbo":
            return 1
        if self._job.method == "hais":
            return evaluation.hais.resolved().temperatures
        samples = evaluation.importance_sampling.samples
        # Further samples must begin at an unused block of noise.
        return NOISE_BLOCK * math.ceil(samples / NOISE_BLOCK) if is_search else samples

    def _round(self) -> list[Task]:
        """Return the tasks that raise the effort to ``_effort``."""
        job = self._job
        if self._keeps:
            known = self._gathered[0].shard.samples if self._gathered else 0
            return _shard_tasks(job, self._config, self._effort - known, first_sample=known)
        self._config = _with_temperatures(self._config, self._effort)
        hais, seed = self._config.evaluation.hais, self._config.data.binarisation_seed
        images = min(job.images, hais.pilot_images)
        work = PilotWork(start=hais.start, on="test", images=images, binarisation_seed=seed)
        self._pilot = make_task("hais pilot", work, self._config)
        return [self._pilot, *_shard_tasks(job, self._config, hais.resolved().chains, pilot=self._pilot)]

    def _all_spent(self) -> tuple[float, int]:
        """Return seconds, and evaluations per image, of all rounds; the last round includes earlier ones if kept."""
        if self._keeps:
            return self._spent[-1]
        return math.fsum(each[0] for each in self._spent), sum(each[1] for each in self._spent)

    def _may_spend(self, effort: int) -> bool:
        """Whether the budget allows another round, which costs as much as all before if kept, else twice the last."""
        settings, times = self._config.evaluation.until_error, 1 if self._keeps else 2
        (seconds, evaluations), before = self._spent[-1], self._all_spent()
        is_cheap = before[1] + times * evaluations <= settings.budget_evaluations
        limit = math.inf if settings.budget_seconds is None else settings.budget_seconds
        return is_cheap and before[0] + times * seconds <= limit


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


def _result_of(task: Task, results: Mapping[str, Result], kind: type[_Kind]) -> _Kind:
    result = results[task.name]
    if not isinstance(result, kind):
        raise TypeError(f"the result of {task.name} must be a {kind.__name__}, got {type(result).__name__}")
    return result
