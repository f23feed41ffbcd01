"""A simulated clock: workers that train trials by their curves, and simulated faults."""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from iafsweep.rehearsal.curves import Curve
from iafsweep.rehearsal.sweep import RehearsedSweep, stamp
from iafsweep.search_space.candidate import short_seed
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.events import EndStatus, Event, Finished
from iafsweep.sweep.storage.state import LedgerState, TrialState

ATTEMPTS = 4
"""A trial fails when it loses its process for this many times, as in a real sweep."""

Train = Callable[[TrialState], Curve]
"""Returns the curve of a trial, whose values and seed are in ``proposed``."""


@dataclass(frozen=True)
class Faults:
    """Rates of simulated faults.

    Attributes:
        lost_an_hour: processes lost per hour of a trial's training; the trial continues after its last whole epoch.
        oom: share of trials that run out of memory in their first epoch.
        stragglers: share of trials that take ``slowness`` times as long.
        slowness: factor by which stragglers take longer.
    """

    lost_an_hour: float = 0.0
    oom: float = 0.0
    stragglers: float = 0.0
    slowness: float = 4.0


@dataclass(frozen=True)
class Completed:
    """A trial that completed.

    Attributes:
        trial: the trial.
        bound: its best validation bound with its own seed, nats per image.
        spent: seconds that all workers together had trained by then.
    """

    trial: TrialState
    bound: float
    spent: float


@dataclass(frozen=True)
class Rehearsal:
    """A sweep that was rehearsed to its end.

    Attributes:
        state: its ledger.
        completed: completed trials, in the order in which they completed.
        seconds: on the clock, from the first start to the last end.
        spent: seconds that all workers together trained.
        epochs: epochs trained by all trials together, however they ended.
    """

    state: LedgerState
    completed: tuple[Completed, ...]
    seconds: float
    spent: float
    epochs: int


@dataclass
class _Running:
    """A trial on a worker: its progress, and when its process will be lost.

    The time since it ``began`` is its training time, including that before a promotion.
    """

    trial: TrialState
    curve: Curve
    slowness: float
    generator: random.Random
    began: float
    lives: float = math.inf
    epoch: int = 0
    attempts: int = 1
    goes_on: bool = False

    def until(self, epoch: int) -> float:
        return self.slowness * math.fsum(self.curve.seconds[self.epoch : epoch])


class Driven(Protocol):
    """What a clock drives: a sweep, or another program's search."""

    @property
    def seed(self) -> int:
        """Its seed, also used for faults."""

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs after which a trial's bound is reported to it."""

    @property
    def state(self) -> LedgerState:
        """The ledger so far."""

    def begin(self, seconds: float) -> TrialState | None:
        """Start the next trial; None if there is none, which may change when a running one reports or ends."""

    def report(self, trial: str, epoch: int, value: float, seconds: float) -> bool:
        """Record a trial's bound after a milestone; return whether it should stop."""

    def take(self, row: Finished) -> None:
        """Record a trial's end."""


def rehearse(
    space: SearchSpace,
    train: Train,
    workers: int,
    faults: Faults | None = None,
    rows: Iterable[Event] = (),
    limit: float = math.inf,
) -> Rehearsal:
    """Run a sweep of ``space`` on a simulated clock, with its own sampler, scheduler, seed and number of trials.

    The result depends only on the arguments. Simultaneous events are handled in the order in which they were scheduled.

    Args:
        space: what is searched, and how.
        train: returns the curve of a trial.
        workers: number of trials that train at once.
        faults: faults to simulate; None: none.
        rows: rows of a ledger to resume; unfinished trials continue after their last rung.
        limit: most seconds that all workers together train; then the rehearsal is cut off.
    """
    return drive(RehearsedSweep(space, rows), train, workers, faults or Faults(), limit)


def drive(sweep: Driven, train: Train, workers: int, faults: Faults, limit: float = math.inf) -> Rehearsal:
    """Do as :func:`rehearse` with anything that decides which trials to train and when to stop them."""
    return next(drive_in_stages(sweep, train, workers, faults, [limit]))


def drive_in_stages(
    sweep: Driven, train: Train, workers: int, faults: Faults, limits: Iterable[float]
) -> Iterator[Rehearsal]:
    """Yield the rehearsal of one sweep at each of several increasing limits, as :func:`drive` would with each alone."""
    clock = _Clock(sweep, train, faults, workers)
    for limit in limits:
        clock.run(limit)
        yield Rehearsal(sweep.state, tuple(clock.completed), clock.now, clock.spent, clock.epochs)


@dataclass
class _Clock:
    sweep: Driven
    train: Train
    faults: Faults
    workers: int
    now: float = 0.0
    spent: float = 0.0
    epochs: int = 0
    completed: list[Completed] = field(default_factory=list)
    _busy: int = 0
    _trained: dict[str, float] = field(default_factory=dict)
    _waiting: list[tuple[float, int, _Running, int]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)

    def run(self, limit: float) -> None:
        """Let time pass until no trial is running, or all workers together have trained for ``limit`` seconds."""
        self._fill()
        while self._waiting:
            moment, _, running, reached = self._waiting[0]
            left = limit - self.spent
            if self._busy * (moment - self.now) > left:
                self.now, self.spent = self.now + left / self._busy, limit
                return
            heapq.heappop(self._waiting)
            self.spent += self._busy * (moment - self.now)
            self.now = moment
            if reached < 0:
                self._lost(running, -reached - 1)
            else:
                self._reached(running, reached)
            self._fill()

    def _fill(self) -> None:
        """Start trials on all free workers, as long as there are trials to start."""
        while self._busy < self.workers and (trial := self.sweep.begin(self.now)) is not None:
            self._begin(trial)

    def _begin(self, trial: TrialState) -> None:
        seed, faults = self.sweep.seed, self.faults
        generator = random.Random(short_seed("faults", seed, trial.trial, trial.afresh))
        curve = self.train(trial)
        if generator.random() < faults.oom and not trial.rungs:
            curve = replace(curve, bounds=(), seconds=curve.seconds[:1], status="oom")
        slowness = faults.slowness if generator.random() < faults.stragglers else 1.0
        running = _Running(trial, curve, slowness, generator, self.now - self._trained.pop(trial.trial, 0.0))
        running.lives = self._lifetime(generator)
        if trial.rungs:
            running.epoch, running.goes_on = min(trial.rungs[-1].epoch, len(curve.bounds)), True
        self._busy += 1
        self._go_on(running)

    def _lifetime(self, generator: random.Random) -> float:
        return generator.expovariate(self.faults.lost_an_hour / 3600) if self.faults.lost_an_hour else math.inf

    def _go_on(self, running: _Running) -> None:
        """Train to the next milestone or the last epoch, or until the process is lost."""
        if running.goes_on and running.epoch in self.sweep.milestones:
            running.goes_on = False  # it saved here, perhaps before the scheduler decided, so it reports again
            self._put(self.now, running, running.epoch)
            return
        running.goes_on = False
        last = len(running.curve.seconds)
        target = min((each for each in self.sweep.milestones if running.epoch < each < last), default=last)
        needs = running.until(target)
        if needs <= running.lives:
            running.lives -= needs
            self._put(self.now + needs, running, target)
            return
        whole = running.epoch
        while running.until(whole + 1) <= running.lives:
            whole += 1
        self._put(self.now + running.lives, running, -whole - 1)

    def _put(self, moment: float, running: _Running, reached: int) -> None:
        heapq.heappush(self._waiting, (moment, next(self._order), running, reached))

    def _reached(self, running: _Running, epoch: int) -> None:
        curve = running.curve
        self.epochs += epoch - running.epoch
        running.epoch = epoch
        if epoch == len(curve.seconds):
            self._end(running, len(curve.bounds), curve.status)
        elif self.sweep.report(running.trial.trial, epoch, curve.bounds[epoch - 1], self.now):
            self._end(running, epoch, "stopped")
        else:
            self._go_on(running)

    def _lost(self, running: _Running, whole: int) -> None:
        """Continue in another process after the last whole epoch, or fail after too many losses."""
        self.epochs += whole - running.epoch
        running.epoch = whole
        if running.attempts == ATTEMPTS:
            self._end(running, whole, "failed")
            return
        running.attempts += 1
        running.goes_on, running.lives = True, self._lifetime(running.generator)
        self._go_on(running)

    def _end(self, running: _Running, epochs: int, status: EndStatus) -> None:
        self._busy -= 1
        bounds, seconds = running.curve.bounds[:epochs], self.now - running.began
        best = min(bounds, default=None)
        self.sweep.take(
            Finished(
                trial=running.trial.trial,
                status=status,
                epochs=epochs,
                value=bounds[-1] if bounds else None,
                best_epoch=None if best is None else bounds.index(best) + 1,
                best_value=best,
                seconds=seconds,
                gpu_seconds=seconds,
                time=stamp(self.now),
            )
        )
        if status == "completed":
            self.completed.append(Completed(running.trial, min(running.curve.bounds), self.spent))
        else:
            self._trained[running.trial.trial] = seconds
