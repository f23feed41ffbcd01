"""Progress of a single run: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from iafsweep.api.news import StepNews
from iafsweep.cli.console import say
from iafsweep.records import EpochMetrics

if TYPE_CHECKING:
    from iafsweep.sweep.cluster.work_units import UnitsDone

_FIRST_LINE_SECONDS, _LINE_EVERY_SECONDS = 2.0, 10.0


class Pace:
    """When a plain line is due: two seconds after the beginning, then every ten."""

    def __init__(self) -> None:
        """Begin now."""
        self._due = time.monotonic() + _FIRST_LINE_SECONDS

    def is_due(self) -> bool:
        """Return whether a line is due; if so, the next is due ten seconds from now."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + _LINE_EVERY_SECONDS
        return True


class TrainingProgress(StepNews):
    """Shows epoch, bounds, speed and time left."""

    def __init__(self, console: Console, epochs: int, done: int, batches: int) -> None:
        """Begin at ``done`` of ``epochs`` epochs, each of ``batches`` batches."""
        self._console = console
        self._epochs = epochs
        self._batches = batches
        self._steps = done * batches
        self._figures = ""
        self._pace, self._rate = Pace(), Rate()
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(
            "train",
            total=epochs * batches,
            completed=done * batches,
            epoch=self._epoch(min(done + 1, epochs)),
            figures="",
        )

    @contextmanager
    def shown(self) -> Iterator[TrainingProgress]:
        """Show the bar inside the block."""
        with self._bar:
            yield self

    def batch_done(self, images: int) -> None:
        """Move the bar on by one batch; of how many images does not matter to it."""
        self._steps += 1
        # From the end of the first batch: it may compile for minutes, which says nothing of the others.
        self._rate.update(self._steps, self._epochs * self._batches)
        self._bar.advance(self._task)
        if not self._console.is_terminal and self._pace.is_due():
            self._print_line(-(-self._steps // self._batches), self._figures and f"  after {self._figures}")

    def epoch_done(self, metrics: EpochMetrics) -> None:
        """Show the figures of an epoch."""
        self._steps = metrics.epoch * self._batches
        figures = f"train {metrics.train_negative_elbo:.2f}"
        if metrics.validation_negative_elbo is not None:
            figures += f"  validation {metrics.validation_negative_elbo:.2f} nats"
        figures += f"  {metrics.images_per_second:,.0f} images/s"
        self._figures = f"epoch {metrics.epoch}: {figures}"
        following = min(metrics.epoch + 1, self._epochs)
        self._bar.update(
            self._task, completed=self._steps, epoch=self._epoch(following), figures=f"after {self._figures}"
        )
        if not self._console.is_terminal and (self._pace.is_due() or metrics.epoch == self._epochs):
            self._print_line(metrics.epoch, f"  {figures}")

    def _print_line(self, epoch: int, figures: str) -> None:
        self._rate.update(self._steps, self._epochs * self._batches)
        say(self._console, f"epoch {self._epoch(epoch)}{figures}  {self._rate.left} left")

    def _epoch(self, number: int) -> str:
        return f"{number}/{self._epochs}"


class ScoringProgress:
    """Shows which figure is being measured, evaluations of the network a second, and the time left."""

    def __init__(self, console: Console) -> None:
        """Begin with nothing measured."""
        self._console = console
        self._rate = Rate()
        self._what = ""
        self._pace = Pace()
        self._bar = Progress(
            TextColumn("scoring {task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:.0f} %  {task.fields[speed]}  left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1, speed="")

    @contextmanager
    def shown(self) -> Iterator[ScoringProgress]:
        """Show the bar inside the block."""
        with self._bar:
            yield self

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take what is being scored, the evaluations done, and of how many."""
        if what != self._what or done == 0:
            self._bar.reset(self._task)
            self._what, self._rate = what, Rate()
        self._rate.update(done, total)
        self._bar.update(self._task, description=what, completed=done, total=total, speed=self._rate.speed)
        if not self._console.is_terminal and self._pace.is_due():
            say(self._console, f"scoring {what}: {self._rate}")


class UnitsProgress:
    """Shows how much of a rerun is done, evaluations of the network a second, and the time left."""

    def __init__(self, console: Console, title: str) -> None:
        """Begin with nothing done."""
        self._console = console
        self._title = title
        self._rate = Rate()
        self._cost_done = 0
        self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn(title),
            BarColumn(),
            TextColumn("{task.fields[units]}  {task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1, units="", speed="", left="")

    @contextmanager
    def shown(self) -> Iterator[UnitsProgress]:
        """Show the bar inside the block."""
        if not self._console.is_terminal:
            self._console.print(self._title, markup=False)
        with self._bar:
            yield self

    def __call__(self, done: UnitsDone) -> None:
        """Take how far the rerun is; what earlier calls have done counts as done, not as speed."""
        if not done.name and done.cost_done != self._cost_done:
            self._rate = Rate()
        self._cost_done = done.cost_done
        self._rate.update(done.cost_done, done.cost_total)
        units = f"{done.done}/{done.total} shards"
        self._bar.update(
            self._task,
            completed=done.cost_done,
            total=max(1, done.cost_total),
            units=units,
            speed=self._rate.speed,
            left=self._rate.left,
        )
        is_due = time.monotonic() - self._last_line >= _LINE_EVERY_SECONDS or done.done == done.total
        if not self._console.is_terminal and is_due:
            self._last_line = time.monotonic()
            say(self._console, f"  {units}, {self._rate}")


_EARLY_SHARE, _EARLY_SECONDS = 0.01, 20.0
"""Before either a rate says more of how the work began (a worker's start, one tiny shard) than of how it goes."""


class Rate:
    """Evaluations a second since the first update, and the time left at that rate."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._first: tuple[float, int] | None = None
        self._rate = 0.0
        self._share = 0.0
        self._left = math.inf

    def update(self, done: int, total: int) -> None:
        """Take the evaluations done, and of how many; what was done at the first call does not count as speed."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, done
        seconds, here = now - self._first[0], done - self._first[1]
        is_early = here < _EARLY_SHARE * total and seconds < _EARLY_SECONDS
        self._rate = 0.0 if is_early or seconds <= 0 else here / seconds
        self._share = done / total if total else 1.0
        self._left = 0.0 if done >= total else ((total - done) / self._rate if self._rate else math.inf)

    @property
    def speed(self) -> str:
        """Evaluations a second; empty before there are any."""
        return f"{self._rate:,.0f} evaluations/s" if self._rate else ""

    @property
    def left(self) -> str:
        """Time left, h:mm:ss; a question mark before it can be known."""
        if math.isinf(self._left):
            return "?"
        minutes, seconds = divmod(round(self._left), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"

    def __str__(self) -> str:
        """Share done, speed and time left, in a line."""
        return ", ".join(part for part in (f"{self._share:.0%}", self.speed, f"{self.left} left") if part)
