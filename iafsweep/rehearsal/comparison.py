"""Comparison of samplers and schedulers: what each would have found, and at what cost."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from iafsweep.errors import SweepError
from iafsweep.rehearsal.clock import Faults, Rehearsal, rehearse
from iafsweep.rehearsal.surrogate import Surrogate
from iafsweep.search_space.space import SearchSpace
from iafsweep.search_space.validation import check_scheduler
from iafsweep.sweep.samplers.build import make_proposer

CLOSE = (1.0, 0.5)
"""Distances from the best bound, nats per image, for which costs are reported."""


@dataclass(frozen=True)
class Step:
    """A moment of a search at which another trial became the best, after ``spent`` seconds of all workers together.

    ``bound`` is that trial's, averaged over seeds, nats per image. The choice sees the bound of one seed only, and may
    fall on a worse trial.
    """

    spent: float
    bound: float


@dataclass(frozen=True)
class Search:
    """One sampler and scheduler, rehearsed with several seeds.

    Attributes:
        sampler: its name.
        scheduler: its name.
        traces: for each seed, the successive best trials.
        hours: for each seed, hours on the clock.
        epochs: for each seed, epochs trained by all trials.
    """

    sampler: str
    scheduler: str
    traces: tuple[tuple[Step, ...], ...]
    hours: tuple[float, ...]
    epochs: tuple[int, ...]

    @property
    def bounds(self) -> tuple[float, ...]:
        """For each seed, the bound of the trial chosen in the end; infinite if none completed."""
        return tuple(trace[-1].bound if trace else math.inf for trace in self.traces)

    def spread(self, share: float) -> float:
        """Return the quantile of :attr:`bounds` over seeds at ``share``."""
        return float(np.quantile(self.bounds, share, method="closest_observation"))

    def hours_to(self, bound: float) -> float:
        """Return the median cost, in hours of all workers together, until a trial at ``bound`` or below stayed chosen.

        Infinite if half of the seeds never got there.
        """
        return median(_seconds_to(trace, bound) for trace in self.traces) / 3600


def _seconds_to(trace: Sequence[Step], bound: float) -> float:
    found = math.inf
    for step in reversed(trace):
        if step.bound > bound:
            break
        found = step.spent
    return found


def search(
    space: SearchSpace,
    surrogate: Surrogate,
    workers: int,
    seeds: Sequence[int],
    faults: Faults | None = None,
    heard: Callable[[], None] = lambda: None,
) -> Search:
    """Rehearse a space's own sampler and scheduler with several seeds; ``heard`` is called after each."""
    found = []
    for seed in seeds:
        seeded = replace(space, sweep=space.sweep.model_copy(update={"seed": seed}))
        found.append(
            rehearse(
                seeded,
                lambda trial: surrogate.training(trial.proposed.parameters, trial.proposed.seed),
                workers,
                faults,
            )
        )
        heard()
    return Search(
        space.sweep.sampler,
        space.sweep.scheduler,
        tuple(trace_of(each, surrogate) for each in found),
        tuple(each.seconds / 3600 for each in found),
        tuple(each.epochs for each in found),
    )


def trace_of(rehearsal: Rehearsal, surrogate: Surrogate) -> tuple[Step, ...]:
    """Return the successive best trials of a rehearsal, with their bounds averaged over seeds."""
    chosen, best = [], math.inf
    for each in rehearsal.completed:
        if each.bound < best:
            best = each.bound
            chosen.append(each)
    if not chosen:
        return ()
    bounds = surrogate.bounds([each.trial.proposed.parameters for each in chosen]).min(1)
    return tuple(Step(each.spent, float(bound)) for each, bound in zip(chosen, bounds, strict=True))


def check_searches(spaces: Sequence[SearchSpace]) -> None:
    """Refuse spaces that cannot be rehearsed; they were checked before, but with another sampler and scheduler.

    Raises:
        SweepError: a space trains a population, about whose copies curves say nothing.
        ConfigError: a space cannot be searched with its sampler or scheduler.
    """
    for space in spaces:
        if space.sweep.scheduler == "pbt":
            raise SweepError(
                "scheduler 'pbt' cannot be rehearsed: it copies weights, which learning curves do not record"
            )
        check_scheduler(space)
        make_proposer(space)
