"""Budgets that end a sweep before its last trial, and an estimate of how long it takes to score the best trials."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from iafsweep.config import RunConfig
from iafsweep.evaluation.evaluate import plan_jobs
from iafsweep.evaluation.jobs import Job, SandwichJob, measure
from iafsweep.evaluation.shards import Shard
from iafsweep.evaluation.tasks import Task
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.callbacks.base import StopReason, SweepCallback
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.trial_report import TrialReport

_LARGEST_RESERVE = 0.5
"""Largest share of the hours that is reserved for the rerun."""


class BudgetWatch(SweepCallback):
    """Ends a sweep when a budget is used up.

    Hours limit one command; GPU-hours and the target apply to the whole sweep. Part of the hours is reserved for
    scoring the best trials. This time is estimated from the training seconds per image and all scoring tasks; a search
    for a small error is assumed to use its whole budget. ``hours`` are those of this command; None: no limit.
    ``started`` is the clock's reading when the command began; None: now. ``stop`` is told which budget is used up.
    """

    def __init__(
        self,
        space: SearchSpace,
        hours: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        started: float | None = None,
        stop: StopReason | None = None,
    ) -> None:
        self._space = space
        self._seconds = None if hours is None else 3600 * hours
        self._clock = clock
        self._started = clock() if started is None else started
        self._at_a_time = 1
        self._running: dict[str, float] = {}
        self._seconds_an_image = 0.0
        self._costs = () if hours is None else rerun_costs(space.base, space.base.data.facts.test_images)
        self.stop = StopReason() if stop is None else stop

    def look_at_the_clock(self) -> None:
        """End the sweep if its hours are used up; called in every turn of Tune's loop."""
        if self._seconds is not None:
            reserve = self._reserve()
            if self._clock() - self._started > self._seconds - reserve:
                kept = f", {reserve / 60:.1f} minutes of them reserved for scoring the best trials" if reserve else ""
                self.stop.give("stopped", f"the {self._seconds / 3600:g} hours are used up{kept}")

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Note the plan, and check what earlier drivers spent."""
        self._at_a_time = plan.at_a_time
        self._look(state)

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """Note what a running trial has spent."""
        self._running[report.trial] = report.seconds * report.gpus
        if report.epoch:
            images = self._space.base.data.training_images
            self._seconds_an_image = max(self._seconds_an_image, training_seconds_an_image(report, images))
        self._look(state)

    def finished(self, row: Finished, state: LedgerState) -> None:
        """From now on, take the trial's spending from the ledger."""
        self._running.pop(row.trial, None)
        self._look(state)

    def _look(self, state: LedgerState) -> None:
        sweep = self._space.sweep
        best = None if state.best is None or state.best.finished is None else state.best.finished.best_value
        if sweep.target is not None and best is not None and best <= sweep.target:
            self.stop.give("stopped", f"the target of {sweep.target:g} nats is reached ({best:.2f})")
        spent = (state.gpu_seconds + sum(self._running.values())) / 3600
        if sweep.gpu_hours is not None and spent >= sweep.gpu_hours:
            self.stop.give("stopped", f"the {sweep.gpu_hours:g} GPU-hours are used up ({spent:.2f})")

    def _reserve(self) -> float:
        top = self._space.sweep.top
        one = rerun_seconds(self._costs, self._seconds_an_image)
        return min(one * top / min(self._at_a_time, max(top, 1)), _LARGEST_RESERVE * (self._seconds or 0.0))


_FORWARD = 1 / 3
"""A forward pass costs about a third of a training step (forward, backward with respect to input and weights)."""

_GRADIENT = 2 / 3
_MARGIN = 1.5
_FASTER_IN_BFLOAT16 = 4.0

_FASTER_COMPILED = 2.0
"""Assumed, not measured: the largest speed-up of a training step on a GPU by either; scoring is eager float32."""


@dataclass(frozen=True)
class FigureCost:
    """The cost of one figure of one trial, in units of a training step on one image.

    Attributes:
        first: cost of the first round, which is always done.
        most: cost of all rounds that a search for a small error may do.
        most_seconds: limit in seconds; no further round starts that would take the figure beyond it.
    """

    first: float
    most: float
    most_seconds: float

    def seconds(self, seconds_an_image: float) -> float:
        """Return about how many seconds one process takes, assuming that a search uses its whole budget."""
        return max(self.first * seconds_an_image, min(self.most * seconds_an_image, self.most_seconds))


def rerun_costs(config: RunConfig, test_images: int) -> tuple[FigureCost, ...]:
    """Return the cost of each figure that a trial's evaluation asks for."""
    return tuple(_figure(job, config) for job in plan_jobs(config, {"test": test_images}))


def rerun_seconds(costs: Sequence[FigureCost], seconds_an_image: float) -> float:
    """Return about how many seconds one process needs to score one trial on the test images.

    ``seconds_an_image`` are the training seconds per image from :func:`training_seconds_an_image`.
    """
    return _MARGIN * math.fsum(cost.seconds(seconds_an_image) for cost in costs)


def training_seconds_an_image(report: TrialReport, images: int) -> float:
    """Return an upper estimate of training seconds per image, computed as scoring does: in float32, not compiled.

    ``report`` is of a trial with at least one epoch; ``images`` is the number of training images per epoch.
    """
    seconds = (report.seconds - report.compile_seconds) / report.epoch / images
    if report.gpus and report.precision == "bfloat16":
        seconds *= _FASTER_IN_BFLOAT16
    if report.gpus and report.compiled:
        seconds *= _FASTER_COMPILED
    return seconds


def _figure(job: Job | SandwichJob, config: RunConfig) -> FigureCost:
    first = math.fsum(_steps(task) for task in measure(job, config).tasks())
    search = config.evaluation.until_error
    if search.target is None or isinstance(job, SandwichJob) or job.method == "negative_elbo":
        return FigureCost(first, first, math.inf)
    evaluation = _GRADIENT if job.method == "hais" else _FORWARD
    most_seconds = math.inf if search.budget_seconds is None else search.budget_seconds
    return FigureCost(first, evaluation * search.budget_evaluations * job.images, most_seconds)


def _steps(task: Task) -> float:
    is_forward = isinstance(task.work, Shard) and task.work.method != "hais"
    return (_FORWARD if is_forward else _GRADIENT) * task.evaluations
