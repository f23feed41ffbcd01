"""Budgets: what ends a sweep in good order before its last trial, and about how long it takes to score the best."""

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
"""At most this share of the hours is kept for the rerun."""


class BudgetWatch(SweepCallback):
    """Hears of a sweep and says when a budget is used up.

    Hours are those of one command; GPU-hours and the target are the whole sweep's. Of the hours, time is kept for
    scoring the best trials: what that takes is estimated from the seconds that training an image takes, and from all
    tasks there are; a search for a small error may take all that it may. ``hours`` are those of this command; None: no
    limit. ``started`` is the clock when it began; None: now. To ``stop`` it says which budget is used up.
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
                kept = f", {reserve / 60:.1f} minutes of them kept for scoring the best" if reserve else ""
                self.stop.give("stopped", f"the {self._seconds / 3600:g} hours are used up{kept}")

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Note the plan, and look at what earlier drivers spent."""
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
        """Take a trial's spending from the ledger from now on."""
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
"""Assumed, not measured: on a GPU a training step gains at most so much by either; scoring is eager float32."""


@dataclass(frozen=True)
class FigureCost:
    """What one figure of one trial costs, in training steps of one image.

    Attributes:
        first: the first round, which is always done.
        most: all rounds that a search for a small error may do.
        most_seconds: no further round begins that would take the figure beyond so many seconds.
    """

    first: float
    most: float
    most_seconds: float

    def seconds(self, seconds_an_image: float) -> float:
        """Return about how long one process takes, a search as long as it may."""
        return max(self.first * seconds_an_image, min(self.most * seconds_an_image, self.most_seconds))


def rerun_costs(config: RunConfig, test_images: int) -> tuple[FigureCost, ...]:
    """Return what each figure of a trial costs that its evaluation asks for."""
    return tuple(_figure(job, config) for job in plan_jobs(config, {"test": test_images}))


def rerun_seconds(costs: Sequence[FigureCost], seconds_an_image: float) -> float:
    """Return about how many seconds one process needs to score one trial on the test images.

    ``seconds_an_image`` are those of training an image, as scoring computes.
    """
    return _MARGIN * math.fsum(cost.seconds(seconds_an_image) for cost in costs)


def training_seconds_an_image(report: TrialReport, images: int) -> float:
    """Return the seconds that training an image took at most, had it computed as scoring does: float32, not compiled.

    ``report`` is of a trial after an epoch at least; ``images`` are the training images of an epoch.
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
