"""A simulated clock: workers that train trials by their curves, and what goes wrong with them."""

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
"""A trial that loses its process for so many times has failed, as in a real sweep."""

Train = Callable[[TrialState], Curve]
"""What training a trial comes to; its values and its seed are in ``proposed``."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong.

    Attributes:
        lost_an_hour: processes lost in an hour of one trial's training; the trial goes on after its last whole epoch.
        oom: share of trials that run out of memory in their first epoch.
        stragglers: share of trials that take ``slowness`` times as long.
        slowness: how many times as long.
    """

    lost_an_hour: float = 0.0
    oom: float = 0.0
    stragglers: float = 0.0
    slowness: float = 4.0


@dataclass(frozen=True)
class Completed:
    """A trial that completed.

    Attributes:
        trial: which.
        bound: its best, nats per image, as its seed has it.
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
        completed: trials that completed, as they did.
        seconds: on the clock, from the first start to the last end.
        spent: seconds that all workers together trained.
        epochs: trained by all trials together, those that were lost again included.
    """

    state: LedgerState
    completed: tuple[Completed, ...]
    seconds: float
    spent: float
    epochs: int


@dataclass
class _Running:
    """A trial on a worker: how far it is, and when its process will be lost.

    It ``began`` so long ago as it has trained, before it was promoted too.
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
        """Its seed, that of faults too."""

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs after which it is told of a trial's bound."""

    @property
    def state(self) -> LedgerState:
        """What happened."""

    def begin(self, seconds: float) -> TrialState | None:
        """Begin the next trial; None if there is none, which may change when a running one reports or ends."""

    def report(self, trial: str, epoch: int, value: float, seconds: float) -> bool:
        """Take a trial's bound after a milestone; return whether it should stop."""

    def take(self, row: Finished) -> None:
        """Take a trial's end."""


def rehearse(
    space: SearchSpace,
    train: Train,
    workers: int,
    faults: Faults | None = None,
    rows: Iterable[Event] = (),
    limit: float = math.inf,
) -> Rehearsal:
    """Run a sweep of ``space`` on a simulated clock, with its own sampler, scheduler, seed and number of trials.

    A function of its arguments. What happens at the same moment happens in the order in which trials came to wait for
    it.

    Args:
        space: what is searched, and how.
        train: what training a trial comes to.
        workers: trials at a time.
        faults: what goes wrong; None: nothing.
        rows: of a ledger to go on with; unfinished trials go on after their last rung.
        limit: seconds that all workers together train at most; then it is cut off.
    """
    return drive(RehearsedSweep(space, rows), train, workers, faults or Faults(), limit)


def drive(sweep: Driven, train: Train, workers: int, faults: Faults, limit: float = math.inf) -> Rehearsal:
    """Do as :func:`rehearse` with anything that says which trials to train and when to stop them."""
    return next(drive_in_stages(sweep, train, workers, faults, [limit]))


def drive_in_stages(
    sweep: Driven, train: Train, workers: int, faults: Faults, limits: Iterable[float]
) -> Iterator[Rehearsal]:
    """Yield what one sweep comes to for each of rising limits, as :func:`drive` would with each alone."""
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
        """Let time pass until nobody trains, or all together have trained so long."""
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
        """Begin trials on all free workers, as long as there are any."""
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
        """Train to the next epoch that is told of, or as long as the process lives."""
        if running.goes_on and running.epoch in self.sweep.milestones:
            running.goes_on = False  # saved there, maybe before the scheduler could decide, it tells it once more
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
        """Go on in another process after the last whole epoch, or give up."""
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
