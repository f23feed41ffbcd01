"""About how long it takes to score a trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from iafsweep.config import RunConfig
from iafsweep.evaluation.evaluate import plan_jobs
from iafsweep.evaluation.jobs import Job, SandwichJob, measure
from iafsweep.evaluation.shards import Shard
from iafsweep.evaluation.tasks import Task
from iafsweep.sweep.storage.trial_report import TrialReport

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
    """Return what each figure of a trial costs that its evaluation asks for.

    Args:
        config: a run's configuration.
        test_images: how many test images there are.
    """
    return tuple(_figure(job, config) for job in plan_jobs(config, {"test": test_images}))


def rerun_seconds(costs: Sequence[FigureCost], seconds_an_image: float) -> float:
    """Return about how many seconds one process needs to score one trial on the test images.

    Args:
        costs: from :func:`rerun_costs`.
        seconds_an_image: seconds of training an image, as scoring computes.
    """
    return _MARGIN * math.fsum(cost.seconds(seconds_an_image) for cost in costs)


def training_seconds_an_image(report: TrialReport, images: int) -> float:
    """Return the seconds that training an image took at most, had it computed as scoring does: float32, not compiled.

    Args:
        report: of a trial, after an epoch at least.
        images: training images of an epoch.
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
